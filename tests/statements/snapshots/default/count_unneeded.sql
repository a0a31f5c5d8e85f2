-- $1 age
-- $2 tasks
-- $3 keep
-- $4 queues
with used as materialized (
  select distinct j.task_id, j.job_queue_id from "graphile_worker"._private_jobs j where (j.locked_at is null and j.attempts >= j.max_attempts
  and greatest(j.run_at, j.updated_at) < pg_catalog.now() - $1::INTERVAL) is not true
)
select
  cast((select pg_catalog.count(*) from "graphile_worker"._private_jobs j where j.locked_at is null and j.attempts >= j.max_attempts
  and greatest(j.run_at, j.updated_at) < pg_catalog.now() - $1::INTERVAL) as int) as failed_jobs,
  cast((
    select pg_catalog.count(*) from "graphile_worker"._private_tasks t
    where $2::BOOLEAN and not (t.identifier = any ($3::pg_catalog.text[]) or exists (
      select from "graphile_worker"._private_sqla_workers w
      where pg_catalog.jsonb_typeof(w.metadata operator(pg_catalog.->) 'tasks') is distinct from 'array'
        or w.metadata operator(pg_catalog.->) 'tasks' operator(pg_catalog.?) t.identifier
    )) and t.id not in (select u.task_id from used u)
  ) as int) as tasks,
  cast((
    select pg_catalog.count(*) from "graphile_worker"._private_job_queues q
    where $4::BOOLEAN and q.is_available
      and q.id not in (select u.job_queue_id from used u where u.job_queue_id is not null)
  ) as int) as queues
