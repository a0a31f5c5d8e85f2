with stale_jobs as (
  select j.id, j.locked_by
  from "graphile_worker"._private_jobs j
  where j.locked_at < now() - interval '4 hours'
    and not exists (select from "graphile_worker"._private_sqla_workers w where w.pool_id = j.locked_by)
  for update skip locked
), stale_queues as (
  select q.id, q.locked_by
  from "graphile_worker"._private_job_queues q
  where q.locked_at < now() - interval '4 hours'
    and not exists (select from "graphile_worker"._private_sqla_workers w where w.pool_id = q.locked_by)
  for update skip locked
), jobs as (
  update "graphile_worker"._private_jobs j
  set locked_at = null, locked_by = null, run_at = greatest(j.run_at, now())
  from stale_jobs s
  where j.id = s.id
  returning j.id
), queues as (
  update "graphile_worker"._private_job_queues q
  set locked_at = null, locked_by = null
  from stale_queues s
  where q.id = s.id
  returning q.id
)
select
  array(select locked_by from stale_jobs union select locked_by from stale_queues order by 1) as owners,
  (select count(*) from jobs) as jobs,
  (select count(*) from queues) as queues
