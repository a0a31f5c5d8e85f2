-- $1 pool_id
-- $2 rust_table
-- $3 ids
with beat as (
  update "graphile_worker"._private_sqla_workers
  set last_heartbeat_at = pg_catalog.now()
  where pool_id = $1::pg_catalog.text
  returning pool_id
)
select
  exists (select from beat) as registered,
  pg_catalog.to_regclass($2::pg_catalog.text) is not null as beside_rust,
  cast(array(
    select j.id from "graphile_worker"._private_jobs j where j.id = any ($3::BIGINT[]) and j.locked_by = $1::pg_catalog.text
  ) as pg_catalog.text) as held_ids
