-- $1 rows
select
  n.task_id,
  cast(pg_catalog.count(*) filter (where n.fits) as int) as jobs,
  cast(pg_catalog.sum(pg_catalog.count(*)) over () as int) as seen
from (
  select j.task_id, (j.locked_at is null and j.attempts >= j.max_attempts) as fits
  from "graphile_worker"._private_jobs j
  order by j.id desc
  limit $1::INTEGER
) n
group by n.task_id
