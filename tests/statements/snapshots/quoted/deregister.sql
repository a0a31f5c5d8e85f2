-- $1 pool_id
with ours as (
  delete from "we""ird: 50% Schema"._private_sqla_workers where pool_id = $1::pg_catalog.text returning pool_id
)
select pool_id from ours
