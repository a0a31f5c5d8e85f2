-- $1 param_1
-- $2 param_2
SELECT graphile_worker._private_jobs.priority, CAST(pg_catalog.timezone($1::pg_catalog.text, graphile_worker._private_jobs.run_at) AS pg_catalog.text) AS run_at, CAST(pg_catalog.timezone($1::pg_catalog.text, pg_catalog.now()) AS pg_catalog.text) AS now
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NOT NULL ORDER BY graphile_worker._private_jobs.priority DESC, graphile_worker._private_jobs.run_at DESC
 LIMIT $2::INTEGER
