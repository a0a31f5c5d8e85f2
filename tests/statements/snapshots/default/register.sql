-- $1 pool_id
-- $2 threshold
-- $3 metadata
insert into "graphile_worker"._private_sqla_workers as w (pool_id, heartbeat_threshold, metadata)
values ($1::VARCHAR, $2::INTERVAL, cast($3::VARCHAR as jsonb))
on conflict (pool_id) do update set last_heartbeat_at = now()
returning true as registered
