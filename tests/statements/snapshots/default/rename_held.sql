-- $1 ids
-- $2 hold_id
with kept as (
  update "graphile_worker"._private_sqla_holds h
  set job_ids = $1::BIGINT[], owned_until = pg_catalog.now()
  where h.id = $2::BIGINT and pg_catalog.cardinality($1::BIGINT[]) > 0
  returning h.id
),
unnamed as (
  delete from "graphile_worker"._private_sqla_holds h
  where h.id = $2::BIGINT and pg_catalog.cardinality($1::BIGINT[]) = 0
  returning h.id
)
select id from kept union all select id from unnamed
