with lost as (
  select r.id, r.name
  from "graphile_worker"._private_sqla_removed r
  where r.kind = 'queue'
    and not exists (select from "graphile_worker"._private_job_queues there where there.id = r.id)
    and exists (select from "graphile_worker"._private_jobs j where j.job_queue_id = r.id)
), back as (
  insert into "graphile_worker"._private_job_queues (id, queue_name) overriding system value
  select l.id, l.name
  from lost l
  where not exists (select from "graphile_worker"._private_job_queues there where there.queue_name = l.name)
  on conflict do nothing
  returning id
), moved as (
  update "graphile_worker"._private_jobs j
  set job_queue_id = there.id
  from lost l
  join "graphile_worker"._private_job_queues there on there.queue_name = l.name
  where j.job_queue_id = l.id
  returning j.id
)
select l.name from lost l order by l.id
