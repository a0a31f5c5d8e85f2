-- $1 among_ids
-- $2 task_identifiers
-- $3 refused_ids
-- $4 pool_id
with recursive
  chosen as (
    select m.id, m.priority, m.run_at, m.job_queue_id, j.size, q.queue_name
    from (
      select j.*
      from pg_catalog.unnest($1::BIGINT[]) as among(id)
      cross join lateral (
        select j.id, j.priority, j.run_at, j.job_queue_id
        from "graphile_worker"._private_jobs j
        where j.id = among.id and j.is_available = true and j.run_at <= pg_catalog.now()
      and j.task_id = any (
        array(select t.id from "graphile_worker"._private_tasks t where t.identifier = any ($2::pg_catalog.text[]))
      )
      and j.id <> all ($3::BIGINT[])
        offset 0
      ) j
      order by j.priority, j.run_at, j.id
    ) m
    left join lateral (
      select q.id, q.queue_name
      from "graphile_worker"._private_job_queues q
      where q.id = m.job_queue_id and q.is_available = true
      for no key update skip locked
    ) q on true
    cross join lateral (
      select case
        when pg_catalog.pg_column_size(j.payload) <= 1024 then 1024
        else pg_catalog.octet_length(cast(j.payload as pg_catalog.text))
      end as size
      from "graphile_worker"._private_jobs j
      where j.id = m.id and j.job_queue_id is not distinct from q.id and j.is_available = true and j.run_at <= pg_catalog.now()
      and j.task_id = any (
        array(select t.id from "graphile_worker"._private_tasks t where t.identifier = any ($2::pg_catalog.text[]))
      )
      and j.id <> all ($3::BIGINT[])
      for no key update skip locked
    ) j
    limit 1
  ),
  locked_queues as (
    update "graphile_worker"._private_job_queues q
    set locked_at = pg_catalog.now(), locked_by = $4::pg_catalog.text
    from chosen c
    where q.id = c.job_queue_id
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
