-- For people who look at the queue: jobs that have failed for good, and the turns of jobs in queues.
-- Writes to the jobs wait while they are built.
create index sqla_jobs_failed_index on __schema__._private_jobs (id)
where locked_at is null and attempts >= max_attempts;
create index sqla_jobs_turn_index on __schema__._private_jobs (priority, run_at, id)
where is_available and job_queue_id is not null;
