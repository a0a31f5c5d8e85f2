-- $1 after_priority
-- $2 after_run_at
-- $3 after_id
-- $4 max_size
-- $5 task_identifiers
-- $6 count
-- $7 large
-- $8 most_large
with recursive
  priorities as (
    select $1::INTEGER as priority, $2::TIMESTAMP WITH TIME ZONE as run_at, $3::BIGINT as id
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
        when pg_catalog.pg_column_size(j.payload) <= least(1024, $4::INTEGER / 256) then least(1024, $4::INTEGER / 256)
        else pg_catalog.octet_length(cast(j.payload as pg_catalog.text))
      end as size, j.task_id, j.payload, j.attempts, j.max_attempts, j.key, j.flags, null as queue_name
      from "we""ird: 50% Schema"._private_jobs j
      where j.job_queue_id is null and j.is_available = true and j.run_at <= pg_catalog.now()
      and j.task_id = any (
        array(select t.id from "we""ird: 50% Schema"._private_tasks t where t.identifier = any ($5::pg_catalog.text[]))
      )
        and j.priority = p.priority and (j.run_at, j.id) > (p.run_at, p.id)
      order by j.run_at, j.id
      limit $6::INTEGER
      for no key update skip locked
    ) j
    limit $6::INTEGER
  ),
  foremost as (
    select * from unqueued
    order by priority, run_at, id
    limit $6::INTEGER
  ),
  chosen as (
    select *
    from foremost
    where not (size > $7::INTEGER and size <= $4::INTEGER) or id in (
      select id from foremost where (size > $7::INTEGER and size <= $4::INTEGER) order by priority, run_at, id limit $8::INTEGER
    )
  )
select
  c.id,
  t.identifier as task_identifier,
  case when c.size <= $4::INTEGER then cast(j.payload as pg_catalog.text) else '' end as payload_text,
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
