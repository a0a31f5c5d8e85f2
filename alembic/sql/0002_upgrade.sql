-- For the claim: the first due job of a free queue, without reading the jobs of locked queues.
-- Writes to the jobs wait while it is built.
create index sqla_jobs_queue_index on __schema__._private_jobs (job_queue_id, priority, run_at)
where is_available and job_queue_id is not null;
