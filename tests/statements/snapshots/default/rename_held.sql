-- $1 hold_id
-- $2 ids
with ended as materialized (
  select pg_catalog.pg_try_advisory_xact_lock($1::BIGINT) as has_ended
),
kept as (
  update "graphile_worker"._private_sqla_holds h
  set job_ids = $2::BIGINT[], owned_until = pg_catalog.now()
  from ended e
  where e.has_ended and h.id = $1::BIGINT and pg_catalog.cardinality($2::BIGINT[]) > 0
),
unnamed as (
  delete from "graphile_worker"._private_sqla_holds h
  using ended e
  where e.has_ended and h.id = $1::BIGINT and pg_catalog.cardinality($2::BIGINT[]) = 0
)
select has_ended from ended
