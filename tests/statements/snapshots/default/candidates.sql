-- $1 now
-- $2 task_identifiers
-- $3 refused_ids
-- $4 after_priority
-- $5 after_run_at
-- $6 after_id
-- $7 count
-- $8 large
-- $9 most_large
with
  unqueued as (
    select j.id, j.priority, j.run_at, j.job_queue_id, case
        when pg_catalog.pg_column_size(j.payload) <= 1024 then 1024
        else pg_catalog.octet_length(cast(j.payload as pg_catalog.text))
      end as size, null as queue_name
    from "graphile_worker"._private_jobs j
    where j.job_queue_id is null and j.is_available = true and j.run_at <= $1::TIMESTAMP WITH TIME ZONE
      and j.task_id = any (
        array(select t.id from "graphile_worker"._private_tasks t where t.identifier = any ($2::pg_catalog.text[]))
      )
      and j.id <> all ($3::BIGINT[])
      and (j.priority, j.run_at, j.id) > ($4::INTEGER, $5::TIMESTAMP WITH TIME ZONE, $6::BIGINT)
    order by j.priority, j.run_at, j.id
    limit $7::INTEGER
    for no key update skip locked
  ),
  free_queues as (
    select q.id, q.queue_name
    from "graphile_worker"._private_job_queues q
    cross join lateral (
      select j.priority, j.run_at
      from "graphile_worker"._private_jobs j
      where j.job_queue_id = q.id and j.is_available = true and j.run_at <= $1::TIMESTAMP WITH TIME ZONE
      and j.task_id = any (
        array(select t.id from "graphile_worker"._private_tasks t where t.identifier = any ($2::pg_catalog.text[]))
      )
      and j.id <> all ($3::BIGINT[])
      order by j.priority, j.run_at
      limit 1
    ) head
    where q.is_available = true
    order by head.priority, head.run_at
    limit $7::INTEGER
    for no key update of q skip locked
  ),
  queued as (
    select head.*, q.queue_name
    from free_queues q
    cross join lateral (
      select j.id, j.priority, j.run_at, j.job_queue_id, case
        when pg_catalog.pg_column_size(j.payload) <= 1024 then 1024
        else pg_catalog.octet_length(cast(j.payload as pg_catalog.text))
      end as size
      from "graphile_worker"._private_jobs j
      where j.job_queue_id = q.id and j.is_available = true and j.run_at <= $1::TIMESTAMP WITH TIME ZONE
      and j.task_id = any (
        array(select t.id from "graphile_worker"._private_tasks t where t.identifier = any ($2::pg_catalog.text[]))
      )
      and j.id <> all ($3::BIGINT[])
      order by j.priority, j.run_at
      limit 1
      for no key update skip locked
    ) head
  ),
  foremost as (
    select * from unqueued union all select * from queued
    order by priority, run_at, id
    limit $7::INTEGER
  ),
  chosen as (
    select *
    from foremost
    where not size > $8::INTEGER or id in (
      select id from foremost where size > $8::INTEGER order by priority, run_at, id limit $9::INTEGER
    )
  )

select id from chosen order by priority, run_at, id
