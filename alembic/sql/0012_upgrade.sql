-- For claims: of the jobs of a queue that were added together, and have one run_at, the first is that with the least id.
-- Without the id in it, all of these were read and sorted to find that one.
-- Writes to the jobs wait while it is built.
drop index __schema__.sqla_jobs_queue_index;
create index sqla_jobs_queue_index on __schema__._private_jobs (job_queue_id, priority, run_at, id)
where is_available and job_queue_id is not null;
