-- $1 task_identifiers
-- $2 count
-- $3 large
-- $4 most_large
with recursive
  priorities as (
    select (
      select cast(j.priority as integer) from "we""ird: 50% Schema"._private_jobs j
      where j.is_available = true and j.job_queue_id is null
      order by j.priority, j.run_at, j.id limit 1
    ) as priority, pg_catalog.timestamptz '-infinity' as run_at, cast(-9223372036854775808 as bigint) as id
    union all
    select (
      select cast(j.priority as integer) from "we""ird: 50% Schema"._private_jobs j
      where j.is_available = true and j.job_queue_id is null and j.priority > p.priority
      order by j.priority, j.run_at, j.id limit 1
    ), '-infinity', cast(-9223372036854775808 as bigint)
    from priorities p where p.priority is not null
  ),
  unqueued as (
    select j.*
    from priorities p
    cross join lateral (
      select j.id, j.priority, j.run_at, j.job_queue_id, case
        when pg_catalog.pg_column_size(j.payload) <= 1024 then 1024
        else pg_catalog.octet_length(cast(j.payload as pg_catalog.text))
      end as size, j.task_id, j.payload, j.attempts, j.max_attempts, j.key, j.flags, null as queue_name
      from "we""ird: 50% Schema"._private_jobs j
      where j.job_queue_id is null and j.is_available = true and j.run_at <= pg_catalog.now()
      and j.task_id = any (
        array(select t.id from "we""ird: 50% Schema"._private_tasks t where t.identifier = any ($1::pg_catalog.text[]))
      )
        and j.priority = p.priority and (j.run_at, j.id) > (p.run_at, p.id)
      order by j.run_at, j.id
      limit $2::INTEGER
      for no key update skip locked
    ) j
    limit $2::INTEGER
  ),
  queued_priorities as (
    select (
      select cast(j.priority as integer) from "we""ird: 50% Schema"._private_jobs j
      where j.is_available = true and j.job_queue_id is not null
      order by j.priority, j.run_at, j.id limit 1
    ) as priority, pg_catalog.timestamptz '-infinity' as run_at, cast(-9223372036854775808 as bigint) as id
    union all
    select (
      select cast(j.priority as integer) from "we""ird: 50% Schema"._private_jobs j
      where j.is_available = true and j.job_queue_id is not null and j.priority > p.priority
      order by j.priority, j.run_at, j.id limit 1
    ), '-infinity', cast(-9223372036854775808 as bigint)
    from queued_priorities p where p.priority is not null
  ),
  walked as (
    select j.*
    from queued_priorities p
    cross join lateral (
      select j.job_queue_id, j.priority, j.run_at, j.id
      from "we""ird: 50% Schema"._private_jobs j
      where j.job_queue_id is not null and j.is_available = true and j.run_at <= pg_catalog.now()
      and j.task_id = any (
        array(select t.id from "we""ird: 50% Schema"._private_tasks t where t.identifier = any ($1::pg_catalog.text[]))
      )
        and j.priority = p.priority and (j.run_at, j.id) > (p.run_at, p.id)
      order by j.run_at, j.id
      limit 3 * $2::INTEGER + 100
    ) j
    limit 3 * $2::INTEGER + 100
  ),
  others as (
    select
      -2147483648 as job_queue_id,
      cast(0 as smallint) as priority, pg_catalog.now() as run_at, cast(null as bigint) as id
    where (select pg_catalog.count(*) from walked) = 3 * $2::INTEGER + 100 and 2 * $2::INTEGER > (
      select pg_catalog.count(*)
      from (
        select from (select distinct job_queue_id as id from walked) w
        join "we""ird: 50% Schema"._private_job_queues q on q.id = w.id
        where q.is_available = true
        limit 2 * $2::INTEGER
      ) free
    )
    union all
    select following.*
    from others o
    cross join lateral (
      select j.job_queue_id, j.priority, j.run_at, j.id
      from "we""ird: 50% Schema"._private_jobs j
      where j.job_queue_id > o.job_queue_id and j.is_available = true and j.run_at <= pg_catalog.now()
      and j.task_id = any (
        array(select t.id from "we""ird: 50% Schema"._private_tasks t where t.identifier = any ($1::pg_catalog.text[]))
      )
      order by j.job_queue_id, j.priority, j.run_at, j.id
      limit 1
    ) following
  ),
  free_queues as (
    select q.*
    from (
      select *
      from (
        select distinct on (job_queue_id) *
        from (select * from walked union all select * from others where id is not null) met
        order by job_queue_id, priority, run_at, id
      ) heads
      order by priority, run_at, id
    ) h
    cross join lateral (
      select q.id, q.queue_name
      from "we""ird: 50% Schema"._private_job_queues q
      where q.id = h.job_queue_id and q.is_available = true
      for no key update skip locked
    ) q
    limit $2::INTEGER
  ),
  queued as (
    select head.*, q.queue_name
    from free_queues q
    cross join lateral (
      select j.id, j.priority, j.run_at, j.job_queue_id, case
        when pg_catalog.pg_column_size(j.payload) <= 1024 then 1024
        else pg_catalog.octet_length(cast(j.payload as pg_catalog.text))
      end as size, j.task_id, j.payload, j.attempts, j.max_attempts, j.key, j.flags
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
    limit $2::INTEGER
  ),
  chosen as (
    select *
    from foremost
    where not size > $3::INTEGER or id in (
      select id from foremost where size > $3::INTEGER order by priority, run_at, id limit $4::INTEGER
    )
  )
select
  c.id,
  t.identifier as task_identifier,
  cast(j.payload as pg_catalog.text) as payload_text,
  c.queue_name,
  c.priority,
  greatest(c.run_at, pg_catalog.timestamptz '0001-01-01 00:00:00+00') as run_at,
  cast(c.attempts + 1 as smallint) as attempts, c.max_attempts, c.key,
  cast(c.flags as pg_catalog.text) as flags_text,
  (select cast(extract(epoch from pg_catalog.now()) operator(pg_catalog.*) 1000000 as bigint)) as locked_us,
  c.job_queue_id as queue_id
from chosen c
cross join lateral (select c.payload) j
join "we""ird: 50% Schema"._private_tasks t on t.id = c.task_id
