with held as (
  select j.locked_by, j.locked_at, 1 as jobs, 0 as queues
  from "graphile_worker"._private_jobs j
  where j.locked_by is not null
  union all
  select q.locked_by, q.locked_at, 0, 1
  from "graphile_worker"._private_job_queues q
  where q.locked_by is not null
)
select
  h.locked_by as owner,
  cast(pg_catalog.sum(h.jobs) as bigint) as jobs,
  cast(pg_catalog.sum(h.queues) as bigint) as queues,
  cast(extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.min(h.locked_at)) as double precision) as seconds,
  cast(extract(epoch from pg_catalog.clock_timestamp() - (w.last_heartbeat_at + w.heartbeat_threshold)) as double precision) as dead_seconds
from held h
left join "graphile_worker"._private_sqla_workers w on w.pool_id = h.locked_by
group by h.locked_by, w.last_heartbeat_at, w.heartbeat_threshold
order by seconds desc
limit 1000
