with tasks as (
  insert into "we""ird: 50% Schema"._private_tasks (identifier) select '' where false
), queues as (
  insert into "we""ird: 50% Schema"._private_job_queues (queue_name) select '' where false
), jobs as (
  insert into "we""ird: 50% Schema"._private_jobs (task_id, payload) select 0, '{}' where false
)
select
