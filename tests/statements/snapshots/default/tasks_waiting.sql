-- $1 rows
select
  n.task_id,
  cast(pg_catalog.count(*) as int) as waiting,
  cast(pg_catalog.count(*) filter (where n.run_at <= pg_catalog.now()) as int) as ready,
  greatest(
    pg_catalog.min(n.run_at) filter (where n.run_at <= pg_catalog.now()),
    pg_catalog.timestamptz '0001-01-02 00:00:00+00'
  ) as oldest,
  pg_catalog.bool_or(n.run_at <= pg_catalog.now()) as has_ready,
  cast(pg_catalog.sum(pg_catalog.count(*)) over () as int) as seen
from (
  select j.task_id, j.run_at
  from "graphile_worker"._private_jobs j
  where j.is_available
  order by j.priority, j.run_at
  limit $1::INTEGER
) n
group by n.task_id
