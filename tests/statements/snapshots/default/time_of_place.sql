-- $1 param_1
SELECT CAST(pg_catalog.timezone($1::pg_catalog.text, graphile_worker._private_jobs.run_at) AS pg_catalog.text) AS timezone_1
FROM graphile_worker._private_jobs
