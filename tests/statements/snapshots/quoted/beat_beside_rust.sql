-- $1 pool_id
-- $2 metadata
with beat as (
  update "we""ird: 50% Schema"._private_workers set last_heartbeat_at = pg_catalog.now() where id = $1::pg_catalog.text returning id
), registered as (
  insert into "we""ird: 50% Schema"._private_workers (id, last_heartbeat_at, started_at, metadata)
  select $1::pg_catalog.text, pg_catalog.now(), pg_catalog.now(), cast($2::pg_catalog.text as pg_catalog.jsonb)
  where not exists (select from beat)
  returning id
)
select id from beat union all select id from registered
