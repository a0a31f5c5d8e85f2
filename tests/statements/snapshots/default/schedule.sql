-- $1 items
-- $2 tick
with due as (
  select * from rows from (json_to_recordset(cast($1::VARCHAR as json)) as (
    identifier text, task text, payload json, queue_name text, max_attempts int, job_key text, priority int,
    flags text[], job_key_mode text
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
select d.identifier, cast(coalesce(cast(j.id as text), 'add_job left the job of ' || d.identifier || ' out') as bigint)
  as job_id
from (select due.* from due join won on won.identifier = due.identifier order by due.position) d
cross join lateral "graphile_worker".add_job(
  d.task, d.payload, d.queue_name, $2::TIMESTAMP WITH TIME ZONE, d.max_attempts, d.job_key, d.priority, d.flags, d.job_key_mode
) j
