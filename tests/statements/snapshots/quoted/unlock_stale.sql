-- $1 job_ids
-- $2 queue_ids
with stale_jobs as (
  select l.id, l.locked_by
  from "we""ird: 50% Schema"._private_jobs l
  where l.id = any ($1::BIGINT[]) and l.locked_at < pg_catalog.now() - interval '4 hours'
  for update skip locked
), stale_queues as (
  select l.id, l.locked_by
  from "we""ird: 50% Schema"._private_job_queues l
  where l.id = any ($2::INTEGER[]) and l.locked_at < pg_catalog.now() - interval '4 hours'
  for update skip locked
), jobs as (
  update "we""ird: 50% Schema"._private_jobs j
  set locked_at = null, locked_by = null, run_at = greatest(j.run_at, pg_catalog.now())
  from stale_jobs s
  where j.id = s.id
), queues as (
  update "we""ird: 50% Schema"._private_job_queues q
  set locked_at = null, locked_by = null
  from stale_queues s
  where q.id = s.id
)
select locked_by as owner from stale_jobs union all select locked_by from stale_queues
