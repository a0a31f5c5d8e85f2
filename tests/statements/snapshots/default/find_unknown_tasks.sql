-- $1 waited
with known as (
  select pg_catalog.jsonb_array_elements_text(w.metadata operator(pg_catalog.->) 'tasks') as identifier
  from "graphile_worker"._private_sqla_workers w
  where w.last_heartbeat_at + w.heartbeat_threshold >= pg_catalog.now()
    and pg_catalog.jsonb_typeof(w.metadata operator(pg_catalog.->) 'tasks') = 'array'
), next as (
  select j.task_id
  from "graphile_worker"._private_jobs j
  where j.is_available and j.run_at <= pg_catalog.now() - $1::INTERVAL
  order by j.priority, j.run_at
  limit 10000
)
select t.identifier, cast(pg_catalog.count(*) as int) as jobs
from next n
join "graphile_worker"._private_tasks t on t.id = n.task_id
where t.identifier not in (select identifier from known)
group by t.identifier
order by jobs desc, t.identifier
