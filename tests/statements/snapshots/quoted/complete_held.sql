-- $1 ids
-- $2 hold_id
with written as (
  delete from "we""ird: 50% Schema"._private_jobs j where j.id = any ($1::BIGINT[]) returning j.id
),
unnamed as (
  delete from "we""ird: 50% Schema"._private_sqla_holds h where h.id = $2::BIGINT
)
select cast(pg_catalog.count(*) as integer) as written from written
