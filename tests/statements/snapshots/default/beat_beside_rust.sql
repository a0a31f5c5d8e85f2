-- $1 pool_id
-- $2 metadata
with beat as (
  update "graphile_worker"._private_workers set last_heartbeat_at = now() where id = $1::VARCHAR returning id
), registered as (
  insert into "graphile_worker"._private_workers (id, last_heartbeat_at, started_at, metadata)
  select $1::VARCHAR, now(), now(), cast($2::VARCHAR as jsonb)
  where not exists (select from beat)
  returning id
)
select id from beat union all select id from registered
