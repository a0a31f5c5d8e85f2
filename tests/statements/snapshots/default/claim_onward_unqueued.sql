-- $1 after_priority
-- $2 after_run_at
-- $3 after_id
-- $4 task_identifiers
-- $5 count
-- $6 large
-- $7 most_large
-- $8 pool_id
with recursive
  priorities as (
    select $1::INTEGER as priority, $2::TIMESTAMP WITH TIME ZONE as run_at, $3::BIGINT as id
    union all
    select (
      select cast(j.priority as integer) from "graphile_worker"._private_jobs j
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
      end as size, null as queue_name
      from "graphile_worker"._private_jobs j
      where j.job_queue_id is null and j.is_available = true and j.run_at <= pg_catalog.now()
      and j.task_id = any (
        array(select t.id from "graphile_worker"._private_tasks t where t.identifier = any ($4::pg_catalog.text[]))
      )
        and j.priority = p.priority and (j.run_at, j.id) > (p.run_at, p.id)
      order by j.run_at, j.id
      limit $5::INTEGER
      for no key update skip locked
    ) j
    limit $5::INTEGER
  ),
  foremost as (
    select * from unqueued
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
update "graphile_worker"._private_jobs j
set attempts = j.attempts + 1, locked_at = pg_catalog.now(), locked_by = $8::pg_catalog.text
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
