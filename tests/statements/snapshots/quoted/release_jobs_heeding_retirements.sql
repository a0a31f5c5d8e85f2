-- $1 ids
-- $2 pool_id
-- $3 spent_ids
with free_jobs as (
  select j.id
  from "we""ird: 50% Schema"._private_jobs j
  where j.id = any ($1::BIGINT[]) and j.locked_by = $2::pg_catalog.text
  for no key update skip locked
)
update "we""ird: 50% Schema"._private_jobs j
set attempts = case when j.id = any ($3::BIGINT[])
  or j.key is null and j.attempts >= j.max_attempts and j.updated_at <> j.created_at or exists (select from "we""ird: 50% Schema"._private_job_retirements retired where retired.id = j.id) then j.attempts else greatest(0, j.attempts - 1) end, locked_at = null, locked_by = null
from free_jobs f
where j.id = f.id
returning j.id
