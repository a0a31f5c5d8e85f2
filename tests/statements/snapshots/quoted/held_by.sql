-- $1 owners
select
  cast((
    select pg_catalog.count(*) from "we""ird: 50% Schema"._private_jobs j where j.locked_by = any ($1::pg_catalog.text[])
  ) as int) as jobs,
  cast((
    select pg_catalog.count(*) from "we""ird: 50% Schema"._private_job_queues q where q.locked_by = any ($1::pg_catalog.text[])
  ) as int) as queues
