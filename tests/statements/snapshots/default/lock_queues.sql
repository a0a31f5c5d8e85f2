-- $1 names
select q.id from "graphile_worker"._private_job_queues q
where q.queue_name = any ($1::pg_catalog.text[]) order by q.id for no key update
