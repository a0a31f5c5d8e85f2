-- $1 task_identifiers
-- $2 each
-- $3 queue_ids
-- $4 pool_id
-- $5 large
-- $6 count
with
  following as (
    select f.*, q.queue_name
    from "graphile_worker"._private_job_queues q
    cross join lateral (
      select j.id, j.priority, j.run_at, j.job_queue_id, case
        when pg_catalog.pg_column_size(j.payload) <= 1024 then 1024
        else pg_catalog.octet_length(cast(j.payload as pg_catalog.text))
      end as size
      from "graphile_worker"._private_jobs j
      where j.job_queue_id = q.id and j.is_available = true and j.run_at <= pg_catalog.now()
      and j.task_id = any (
        array(select t.id from "graphile_worker"._private_tasks t where t.identifier = any ($1::pg_catalog.text[]))
      )
      order by j.priority, j.run_at, j.id
      limit $2::INTEGER
      for no key update skip locked
    ) f
    where q.id = any ($3::INTEGER[]) and q.locked_by = $4::pg_catalog.text
  ),
  up_to_large as (
    select *,
      pg_catalog.bool_or(size > $5::INTEGER) over (partition by job_queue_id order by priority, run_at, id) as is_cut
    from following
  ),
  chosen as (
    select * from up_to_large where not is_cut order by priority, run_at, id limit $6::INTEGER
  )
update "graphile_worker"._private_jobs j
set attempts = j.attempts + 1, locked_at = pg_catalog.now(), locked_by = $4::pg_catalog.text
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
