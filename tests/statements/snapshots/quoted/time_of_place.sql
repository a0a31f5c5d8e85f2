-- $1 param_1
SELECT CAST(pg_catalog.timezone($1::pg_catalog.text, "we""ird: 50% Schema"._private_jobs.run_at) AS pg_catalog.text) AS timezone_1
FROM "we""ird: 50% Schema"._private_jobs
