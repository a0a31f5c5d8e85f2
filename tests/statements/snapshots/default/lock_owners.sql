-- $1 rows
select
  l.locked_by,
  cast(pg_catalog.count(*) filter (where l.is_job) as int) as jobs,
  cast(pg_catalog.count(*) filter (where not l.is_job) as int) as queues,
  case when pg_catalog.min(l.locked_at) is not null then least(greatest(pg_catalog.min(l.locked_at), pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') end as since
from (
  select locked_by, locked_at, true as is_job
  from (
    select j.locked_by, j.locked_at from "graphile_worker"._private_jobs j order by j.id desc limit $1::INTEGER
  ) jobs
  union all
  select locked_by, locked_at, false
  from (select q.locked_by, q.locked_at from "graphile_worker"._private_job_queues q order by q.id desc limit $1::INTEGER) queues
) l
where l.locked_by is not null
group by l.locked_by
order by l.locked_by
limit 1000
