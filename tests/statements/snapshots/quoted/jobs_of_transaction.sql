select
  j.id,
  j.task_id,
  j.job_queue_id,
  cast(j.payload as pg_catalog.text) as payload_text,
  j.priority,
  least(greatest(j.run_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') as run_at,
  j.attempts,
  j.max_attempts,
  j.last_error,
  j.created_at,
  j.updated_at,
  j.key,
  case when j.locked_at is not null then least(greatest(j.locked_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') end as locked_at,
  j.locked_by,
  j.revision,
  cast(j.flags as pg_catalog.text) as flags,
  (select t.identifier from "we""ird: 50% Schema"._private_tasks t where t.id = j.task_id) as task_identifier,
  (select q.queue_name from "we""ird: 50% Schema"._private_job_queues q where q.id = j.job_queue_id) as queue_name,
  case
    when j.locked_at is not null then 'locked'
    when j.attempts >= j.max_attempts then 'failed'
    when j.run_at <= pg_catalog.now() then 'ready'
    when j.attempts > 0 then 'retrying'
    else 'scheduled'
  end as state,
  exists (select from "we""ird: 50% Schema"._private_sqla_pauses) as are_some_paused
from "we""ird: 50% Schema"._private_jobs j
where pg_catalog.now() in (j.created_at, j.updated_at)
order by j.id
