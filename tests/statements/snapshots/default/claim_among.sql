-- $1 among_ids
-- $2 task_identifiers
-- $3 refused_ids
-- $4 count
-- $5 large
-- $6 most_large
-- $7 pool_id
with recursive
  unqueued as (
    select j.*
    from pg_catalog.unnest($1::BIGINT[]) as among(id)
    cross join lateral (
      select j.id, j.priority, j.run_at, j.job_queue_id, case
        when pg_catalog.pg_column_size(j.payload) <= 1024 then 1024
        else pg_catalog.octet_length(cast(j.payload as pg_catalog.text))
      end as size, null as queue_name
      from "graphile_worker"._private_jobs j
      where j.id = among.id and j.job_queue_id is null and j.is_available = true and j.run_at <= pg_catalog.now()
      and j.task_id = any (
        array(select t.id from "graphile_worker"._private_tasks t where t.identifier = any ($2::pg_catalog.text[]))
      )
      and j.id <> all ($3::BIGINT[])
      and j.id = any ($1::BIGINT[])
      for no key update skip locked
    ) j
  ),
  walked as (
    select j.*
    from pg_catalog.unnest($1::BIGINT[]) as among(id)
    cross join lateral (
      select j.job_queue_id, j.priority, j.run_at, j.id
      from "graphile_worker"._private_jobs j
      where j.id = among.id and j.job_queue_id is not null and j.is_available = true and j.run_at <= pg_catalog.now()
      and j.task_id = any (
        array(select t.id from "graphile_worker"._private_tasks t where t.identifier = any ($2::pg_catalog.text[]))
      )
      and j.id <> all ($3::BIGINT[])
      and j.id = any ($1::BIGINT[])
      offset 0
    ) j
  ),
  free_queues as (
    select q.*
    from (
      select *
      from (
        select distinct on (job_queue_id) *
        from (select * from walked) met
        order by job_queue_id, priority, run_at, id
      ) heads
      order by priority, run_at, id
    ) h
    cross join lateral (
      select q.id, q.queue_name
      from "graphile_worker"._private_job_queues q
      where q.id = h.job_queue_id and q.is_available = true
      for no key update skip locked
    ) q
    limit $4::INTEGER
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
      where j.job_queue_id = q.id and j.is_available = true and j.run_at <= pg_catalog.now()
      and j.task_id = any (
        array(select t.id from "graphile_worker"._private_tasks t where t.identifier = any ($2::pg_catalog.text[]))
      )
      and j.id <> all ($3::BIGINT[])
      and j.id = any ($1::BIGINT[])
      order by j.priority, j.run_at, j.id
      limit 1
      for no key update skip locked
    ) head
  ),
  foremost as (
    select * from unqueued union all select * from queued
    order by priority, run_at, id
    limit $4::INTEGER
  ),
  chosen as (
    select *
    from foremost
    where not size > $5::INTEGER or id in (
      select id from foremost where size > $5::INTEGER order by priority, run_at, id limit $6::INTEGER
    )
  ),
  locked_queues as (
    update "graphile_worker"._private_job_queues q
    set locked_at = pg_catalog.now(), locked_by = $7::pg_catalog.text
    from chosen c
    where q.id = c.job_queue_id
  )
update "graphile_worker"._private_jobs j
set attempts = j.attempts + 1, locked_at = pg_catalog.now(), locked_by = $7::pg_catalog.text
from chosen c, "graphile_worker"._private_tasks t
where j.id = c.id and t.id = j.task_id
returning
  j.id,
  t.identifier as task_identifier,
  cast(j.payload as pg_catalog.text) as payload_text,
  c.queue_name,
  j.priority,
  greatest(j.run_at, pg_catalog.timestamptz '0001-01-01 00:00:00+00') as run_at,
  j.attempts, j.max_attempts, j.key,
  cast(j.flags as pg_catalog.text) as flags_text,
  (select cast(extract(epoch from pg_catalog.now()) operator(pg_catalog.*) 1000000 as bigint)) as locked_us,
  c.job_queue_id as queue_id
