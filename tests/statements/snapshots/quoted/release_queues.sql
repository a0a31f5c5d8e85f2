-- $1 ids
-- $2 pool_id
with free_queues as (
  select q.id
  from "we""ird: 50% Schema"._private_job_queues q
  where q.id = any ($1::INTEGER[]) and q.locked_by = $2::pg_catalog.text
  for no key update skip locked
)
update "we""ird: 50% Schema"._private_job_queues q
set locked_at = null, locked_by = null
from free_queues f
where q.id = f.id
returning q.id
