-- $1 param_1
-- $2 id_1
SELECT graphile_worker._private_jobs.id, graphile_worker._private_jobs.priority, CAST(pg_catalog.timezone($1::pg_catalog.text, graphile_worker._private_jobs.run_at) AS pg_catalog.text) AS timezone_1
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.id = $2::BIGINT
