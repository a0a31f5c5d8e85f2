-- $1 count
delete from "graphile_worker"._private_sqla_snoozes s
where s.job_id in (
  select s.job_id
  from "graphile_worker"._private_sqla_snoozes s
  where not exists (select from "graphile_worker"._private_jobs j where j.id = s.job_id)
  limit $1::INTEGER
  for update skip locked
)
returning s.job_id
