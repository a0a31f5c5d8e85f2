-- Writes to the jobs wait while it is built.
drop index __schema__.sqla_jobs_queue_index;
create index sqla_jobs_queue_index on __schema__._private_jobs (job_queue_id, priority, run_at)
where is_available and job_queue_id is not null;
