-- $1 ids
-- $2 age
with failed as (
  select j.id from "graphile_worker"._private_jobs j where j.id = any ($1::BIGINT[]) and j.locked_at is null and j.attempts >= j.max_attempts
  and greatest(j.run_at, j.updated_at) < pg_catalog.now() - $2::INTERVAL for update skip locked
)
delete from "graphile_worker"._private_jobs j
using failed f
where j.id = f.id
returning j.id
