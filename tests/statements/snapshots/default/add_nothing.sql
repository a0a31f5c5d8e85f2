with tasks as (
  insert into "graphile_worker"._private_tasks (identifier) select '' where false
), queues as (
  insert into "graphile_worker"._private_job_queues (queue_name) select '' where false
), jobs as (
  insert into "graphile_worker"._private_jobs (task_id, payload) select 0, '{}' where false
)
select
