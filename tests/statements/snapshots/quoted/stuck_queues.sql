select q.queue_name, q.locked_by as owner, cast(extract(epoch from pg_catalog.clock_timestamp() - q.locked_at) as double precision) as seconds
from "we""ird: 50% Schema"._private_job_queues q
where q.locked_at < pg_catalog.clock_timestamp() - interval '1 minute' and not exists (
  select from "we""ird: 50% Schema"._private_jobs j where j.job_queue_id = q.id and j.locked_by = q.locked_by
)
order by q.locked_at
limit 1000
