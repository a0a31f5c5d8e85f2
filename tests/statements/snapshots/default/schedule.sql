-- $1 items
-- $2 tick
with due as (
  select * from rows from (pg_catalog.json_to_recordset(cast($1::pg_catalog.text as pg_catalog.json)) as (
    identifier pg_catalog.text, task pg_catalog.text, payload pg_catalog.json, queue_name pg_catalog.text,
    max_attempts int, job_key pg_catalog.text, priority int, flags pg_catalog.text[], job_key_mode pg_catalog.text
  )) with ordinality as due (
    identifier, task, payload, queue_name, max_attempts, job_key, priority, flags, job_key_mode, position
  )
), won as (
  insert into "graphile_worker"._private_known_crontabs as known (identifier, known_since, last_execution)
  select identifier, $2::TIMESTAMP WITH TIME ZONE, $2::TIMESTAMP WITH TIME ZONE from due order by position
  on conflict (identifier) do update set last_execution = excluded.last_execution
  where known.last_execution is null or known.last_execution < excluded.last_execution
  returning known.identifier
)
select d.identifier, cast(
  coalesce(cast(j.id as pg_catalog.text), 'add_job left the job of ' || d.identifier || ' out') as bigint
) as job_id
from (select due.* from due join won on won.identifier = due.identifier order by due.position) d
cross join lateral "graphile_worker".add_job(
  d.task, d.payload, d.queue_name, $2::TIMESTAMP WITH TIME ZONE, d.max_attempts, d.job_key, d.priority, d.flags, d.job_key_mode
) j
