-- $1 count
with unused as (
  select q.id
  from "we""ird: 50% Schema"._private_job_queues q
  where q.is_available and not exists (select from "we""ird: 50% Schema"._private_jobs j where j.job_queue_id = q.id)
  order by q.id
  limit $1::INTEGER
  for update skip locked
), removed as (
  delete from "we""ird: 50% Schema"._private_job_queues q using unused u where q.id = u.id returning q.id, q.queue_name as called
),
noted as (
  insert into "we""ird: 50% Schema"._private_sqla_removed (kind, id, name)
  select 'queue', r.id, r.called from removed r
  on conflict (kind, id) do update set name = excluded.name, removed_at = pg_catalog.now()
)
select r.called from removed r order by r.id
