-- $1 param_1
-- $2 param_2
SELECT "we""ird: 50% Schema"._private_jobs.priority, CAST(pg_catalog.timezone($1::pg_catalog.text, "we""ird: 50% Schema"._private_jobs.run_at) AS pg_catalog.text) AS run_at, CAST(pg_catalog.timezone($1::pg_catalog.text, pg_catalog.now()) AS pg_catalog.text) AS now
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NOT NULL ORDER BY "we""ird: 50% Schema"._private_jobs.priority DESC, "we""ird: 50% Schema"._private_jobs.run_at DESC
 LIMIT $2::INTEGER
