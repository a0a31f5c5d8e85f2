-- $1 owners
select
  cast((
    select pg_catalog.count(*) from "graphile_worker"._private_jobs j where j.locked_by = any ($1::pg_catalog.text[])
  ) as int) as jobs,
  cast((
    select pg_catalog.count(*) from "graphile_worker"._private_job_queues q where q.locked_by = any ($1::pg_catalog.text[])
  ) as int) as queues
