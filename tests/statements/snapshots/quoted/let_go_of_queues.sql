-- $1 pool_id
-- $2 queue_names
with unnamed as (
  select q.id
  from "we""ird: 50% Schema"._private_job_queues q
  where q.locked_by = $1::VARCHAR and not (q.queue_name = any ($2::TEXT[])) and not exists (
    select from "we""ird: 50% Schema"._private_jobs j where j.job_queue_id = q.id and j.locked_by = $1::VARCHAR
  )
),
free_queues as (
  select q.id
  from "we""ird: 50% Schema"._private_job_queues q
  where q.id in (select id from unnamed) and q.locked_by = $1::VARCHAR
  for no key update skip locked
),
written as (
  update "we""ird: 50% Schema"._private_job_queues q
  set locked_at = null, locked_by = null
  from free_queues f
  where q.id = f.id
  returning q.id
)
select id, false as busy from written
union all
select id, true from unnamed where id not in (select id from free_queues)
