-- $1 now
-- $2 task_identifiers
-- $3 forbidden_flags
-- $4 refused_ids
-- $5 after_priority
-- $6 after_run_at
-- $7 after_id
-- $8 count
with
  unqueued as (
    select j.id, j.priority, j.run_at, j.job_queue_id, null as queue_name
    from "we""ird: 50% Schema"._private_jobs j
    where j.job_queue_id is null and j.is_available = true and j.run_at <= $1::TIMESTAMP WITH TIME ZONE
      and j.task_id = any (
        array(select t.id from "we""ird: 50% Schema"._private_tasks t where t.identifier = any ($2::TEXT[]))
      )
      and (j.flags ?| $3::TEXT[]) is not true
      and j.id <> all ($4::BIGINT[])
      and (j.priority, j.run_at, j.id) > ($5::INTEGER, $6::TIMESTAMP WITH TIME ZONE, $7::BIGINT)
    order by j.priority, j.run_at, j.id
    limit $8::INTEGER
    for no key update skip locked
  ),
  free_queues as (
    select q.id, q.queue_name
    from "we""ird: 50% Schema"._private_job_queues q
    cross join lateral (
      select j.priority, j.run_at
      from "we""ird: 50% Schema"._private_jobs j
      where j.job_queue_id = q.id and j.is_available = true and j.run_at <= $1::TIMESTAMP WITH TIME ZONE
      and j.task_id = any (
        array(select t.id from "we""ird: 50% Schema"._private_tasks t where t.identifier = any ($2::TEXT[]))
      )
      and (j.flags ?| $3::TEXT[]) is not true
      and j.id <> all ($4::BIGINT[])
      order by j.priority, j.run_at
      limit 1
    ) head
    where q.is_available = true
    order by head.priority, head.run_at
    limit $8::INTEGER
    for no key update of q skip locked
  ),
  queued as (
    select head.*, q.queue_name
    from free_queues q
    cross join lateral (
      select j.id, j.priority, j.run_at, j.job_queue_id
      from "we""ird: 50% Schema"._private_jobs j
      where j.job_queue_id = q.id and j.is_available = true and j.run_at <= $1::TIMESTAMP WITH TIME ZONE
      and j.task_id = any (
        array(select t.id from "we""ird: 50% Schema"._private_tasks t where t.identifier = any ($2::TEXT[]))
      )
      and (j.flags ?| $3::TEXT[]) is not true
      and j.id <> all ($4::BIGINT[])
      order by j.priority, j.run_at
      limit 1
      for no key update skip locked
    ) head
  ),
  chosen as (
    select * from unqueued union all select * from queued
    order by priority, run_at, id
    limit $8::INTEGER
  )

select id from chosen order by priority, run_at, id
