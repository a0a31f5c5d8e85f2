-- $1 pool_ids
-- $2 job_ids
-- $3 delay
with dead as (
  select w.pool_id, pg_catalog.format(
    '%s (process %s on %s) sent no heartbeat for %s s',
    w.pool_id, w.metadata operator(pg_catalog.->>) 'pid', w.metadata operator(pg_catalog.->>) 'host',
    cast(extract(epoch from w.heartbeat_threshold) as real)
  ) as what
  from "we""ird: 50% Schema"._private_sqla_workers w
  where w.pool_id = any ($1::pg_catalog.text[]) and w.last_heartbeat_at + w.heartbeat_threshold < pg_catalog.now()
  for update skip locked
), free_jobs as (
  select j.id, d.pool_id, d.what
  from "we""ird: 50% Schema"._private_jobs j
  join dead d on j.locked_by = d.pool_id
  where $2::BIGINT[] is null or j.id = any ($2::BIGINT[])
  for no key update of j skip locked
), jobs as (
  update "we""ird: 50% Schema"._private_jobs j
  set locked_at = null, locked_by = null, run_at = greatest(j.run_at, pg_catalog.now() + $3::INTERVAL),
      last_error = 'the worker died while it had this job: ' || f.what
  from free_jobs f
  where j.id = f.id
  returning j.id, j.attempts >= j.max_attempts as is_final, f.pool_id
), kept_jobs as (
  select j.job_queue_id, j.locked_by as pool_id
  from "we""ird: 50% Schema"._private_jobs j
  where j.locked_by in (select pool_id from dead) and j.id not in (select id from free_jobs)
), free_queues as (
  select q.id, d.pool_id
  from "we""ird: 50% Schema"._private_job_queues q
  join dead d on q.locked_by = d.pool_id
  where q.id not in (select job_queue_id from kept_jobs where job_queue_id is not null)
  for no key update of q skip locked
), queues as (
  update "we""ird: 50% Schema"._private_job_queues q
  set locked_at = null, locked_by = null
  from free_queues f
  where q.id = f.id
), gone as (
  delete from "we""ird: 50% Schema"._private_sqla_workers w
  using dead d
  where w.pool_id = d.pool_id and d.pool_id not in (select pool_id from kept_jobs) and not exists (
    select from "we""ird: 50% Schema"._private_job_queues q
    where q.locked_by = d.pool_id and q.id not in (select id from free_queues)
  )
  returning w.pool_id
)
select
  d.what,
  cast(array(select j.id from jobs j where j.pool_id = d.pool_id order by j.id) as pg_catalog.text) as job_ids,
  cast(array(
    select j.id from jobs j where j.pool_id = d.pool_id and j.is_final order by j.id
  ) as pg_catalog.text) as final_ids
from dead d
where d.pool_id in (select pool_id from gone) or d.pool_id in (select pool_id from jobs)
order by d.pool_id
