-- $1 pool_id
-- $2 threshold
-- $3 metadata
insert into "we""ird: 50% Schema"._private_sqla_workers as w (pool_id, heartbeat_threshold, metadata)
values ($1::pg_catalog.text, $2::INTERVAL, cast($3::pg_catalog.text as pg_catalog.jsonb))
on conflict (pool_id) do update set last_heartbeat_at = pg_catalog.now()
returning true as registered
