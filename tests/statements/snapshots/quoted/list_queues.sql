-- $1 place
-- $2 limit
-- $3 most
select q.queue_name, q.locked_by, case when q.locked_at is not null then least(greatest(q.locked_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') end as locked_at, w.jobs, head.run_at
from (
  select q.id, q.queue_name, q.locked_by, q.locked_at
  from "we""ird: 50% Schema"._private_job_queues q
  where q.queue_name > $1::pg_catalog.text
  order by q.queue_name asc
  limit $2::INTEGER
) q
cross join lateral (
  select cast(pg_catalog.count(*) as int) as jobs
  from (
    select from "we""ird: 50% Schema"._private_jobs j where j.job_queue_id = q.id and j.is_available limit $3::INTEGER
  ) counted
) w
left join lateral (
  select greatest(j.run_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00') as run_at
  from "we""ird: 50% Schema"._private_jobs j
  where j.job_queue_id = q.id and j.is_available
  order by j.priority, j.run_at
  limit 1
) head on true
order by q.queue_name
