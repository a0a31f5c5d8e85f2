-- $1 param_1
-- $2 param_2
-- $3 param_3
SELECT graphile_worker._private_jobs.id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.id = ANY ($1::BIGINT[]) AND (graphile_worker._private_jobs.locked_at IS NULL OR graphile_worker._private_jobs.locked_at < pg_catalog.now() - $2::INTERVAL) AND graphile_worker._private_jobs.task_id IN (SELECT graphile_worker._private_tasks.id
FROM graphile_worker._private_tasks
WHERE graphile_worker._private_tasks.identifier = ANY ($3::pg_catalog.text[])) ORDER BY graphile_worker._private_jobs.id FOR UPDATE OF _private_jobs SKIP LOCKED
