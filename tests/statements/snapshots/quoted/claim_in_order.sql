-- $1 task_identifiers
-- $2 after_priority
-- $3 after_run_at
-- $4 after_id
-- $5 count
-- $6 large
-- $7 most_large
-- $8 pool_id
with
  unqueued as (
    select j.id, j.priority, j.run_at, j.job_queue_id, case
        when pg_catalog.pg_column_size(j.payload) <= 1024 then 1024
        else pg_catalog.octet_length(cast(j.payload as pg_catalog.text))
      end as size, null as queue_name
    from "we""ird: 50% Schema"._private_jobs j
    where j.job_queue_id is null and j.is_available = true and j.run_at <= pg_catalog.now()
      and j.task_id = any (
        array(select t.id from "we""ird: 50% Schema"._private_tasks t where t.identifier = any ($1::pg_catalog.text[]))
      )
      and (j.priority, j.run_at, j.id) > ($2::INTEGER, $3::TIMESTAMP WITH TIME ZONE, $4::BIGINT)
    order by j.priority, j.run_at, j.id
    limit $5::INTEGER
    for no key update skip locked
  ),
  free_queues as (
    select q.id, q.queue_name
    from "we""ird: 50% Schema"._private_job_queues q
    cross join lateral (
      select j.priority, j.run_at
      from "we""ird: 50% Schema"._private_jobs j
      where j.job_queue_id = q.id and j.is_available = true and j.run_at <= pg_catalog.now()
      and j.task_id = any (
        array(select t.id from "we""ird: 50% Schema"._private_tasks t where t.identifier = any ($1::pg_catalog.text[]))
      )
      order by j.priority, j.run_at
      limit 1
    ) head
    where q.is_available = true
    order by head.priority, head.run_at
    limit $5::INTEGER
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
      from "we""ird: 50% Schema"._private_jobs j
      where j.job_queue_id = q.id and j.is_available = true and j.run_at <= pg_catalog.now()
      and j.task_id = any (
        array(select t.id from "we""ird: 50% Schema"._private_tasks t where t.identifier = any ($1::pg_catalog.text[]))
      )
      order by j.priority, j.run_at, j.id
      limit 1
      for no key update skip locked
    ) head
  ),
  foremost as (
    select * from unqueued union all select * from queued
    order by priority, run_at, id
    limit $5::INTEGER
  ),
  chosen as (
    select *
    from foremost
    where not size > $6::INTEGER or id in (
      select id from foremost where size > $6::INTEGER order by priority, run_at, id limit $7::INTEGER
    )
  )
,
  locked_queues as (
    update "we""ird: 50% Schema"._private_job_queues q
    set locked_at = pg_catalog.now(), locked_by = $8::pg_catalog.text
    from chosen c
    where q.id = c.job_queue_id
  )
update "we""ird: 50% Schema"._private_jobs j
set attempts = j.attempts + 1, locked_at = pg_catalog.now(), locked_by = $8::pg_catalog.text
from chosen c, "we""ird: 50% Schema"._private_tasks t
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
