-- $1 queue_id
-- $2 id
-- $3 rows
select
  cast(pg_catalog.count(*) filter (
    where b.run_at <= pg_catalog.now()
  ) as int) as jobs,
  cast(pg_catalog.count(*) as int) as seen
from (
  select j.run_at, j.job_queue_id
  from "we""ird: 50% Schema"._private_jobs j
  where j.is_available and j.job_queue_id = $1::INTEGER
    and (j.priority, j.run_at, j.id) < (
      select t.priority, t.run_at, t.id from "we""ird: 50% Schema"._private_jobs t where t.id = $2::BIGINT
    )
  order by j.priority, j.run_at
  limit $3::INTEGER
) b
