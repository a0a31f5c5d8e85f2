-- $1 id
-- $2 rows
select
  cast(pg_catalog.count(*) filter (
    where b.run_at <= pg_catalog.now()
  and not exists (
    select from "graphile_worker"._private_job_queues q where q.id = b.job_queue_id and q.locked_at is not null
  )
  ) as int) as jobs,
  cast(pg_catalog.count(*) as int) as seen
from (
  select j.run_at, j.job_queue_id
  from "graphile_worker"._private_jobs j
  where j.is_available
    and (j.priority, j.run_at, j.id) < (
      select t.priority, t.run_at, t.id from "graphile_worker"._private_jobs t where t.id = $1::BIGINT
    )
  order by j.priority, j.run_at
  limit $2::INTEGER
) b
