-- $1 delay
with dead as (
  select w.pool_id
  from "graphile_worker"._private_sqla_workers w
  where w.last_heartbeat_at + w.heartbeat_threshold < now()
  for update skip locked
), gone as (
  delete from "graphile_worker"._private_sqla_workers w
  using dead d
  where w.pool_id = d.pool_id
  returning w.pool_id, format(
    '%s (process %s on %s) sent no heartbeat for %s s',
    w.pool_id, w.metadata ->> 'pid', w.metadata ->> 'host', cast(extract(epoch from w.heartbeat_threshold) as real)
  ) as what
), jobs as (
  update "graphile_worker"._private_jobs j
  set locked_at = null, locked_by = null, run_at = greatest(j.run_at, now() + $1::INTERVAL),
      last_error = 'the worker died while it had this job: ' || g.what
  from gone g
  where j.locked_by = g.pool_id
  returning j.id, j.attempts >= j.max_attempts as is_final, g.pool_id
), queues as (
  update "graphile_worker"._private_job_queues q
  set locked_at = null, locked_by = null
  from gone g
  where q.locked_by = g.pool_id
)
select
  g.what,
  array(select j.id from jobs j where j.pool_id = g.pool_id order by j.id) as job_ids,
  array(select j.id from jobs j where j.pool_id = g.pool_id and j.is_final order by j.id) as final_ids
from gone g
order by g.pool_id
