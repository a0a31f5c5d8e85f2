SELECT graphile_worker._private_jobs.id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available OR graphile_worker._private_jobs.locked_at IS NULL AND graphile_worker._private_jobs.attempts >= graphile_worker._private_jobs.max_attempts OR graphile_worker._private_jobs.locked_at IS NOT NULL
