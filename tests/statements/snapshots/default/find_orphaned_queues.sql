-- $1 pool_id
-- $2 ids
select q.id
from "graphile_worker"._private_job_queues q
where q.locked_by = $1::pg_catalog.text and not (q.id = any ($2::INTEGER[])) and not exists (
  select from "graphile_worker"._private_jobs j where j.job_queue_id = q.id and j.locked_by = $1::pg_catalog.text
)
