-- For the claim: to go on where the last one ended, also among jobs of one priority and one run_at.
-- Writes to the jobs wait while it is built.
create index sqla_jobs_ready_index on __schema__._private_jobs (priority, run_at, id)
where is_available and job_queue_id is null;
