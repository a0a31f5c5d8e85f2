-- $1 param_1
-- $2 id_1
SELECT "we""ird: 50% Schema"._private_jobs.id, "we""ird: 50% Schema"._private_jobs.priority, CAST(pg_catalog.timezone($1::pg_catalog.text, "we""ird: 50% Schema"._private_jobs.run_at) AS pg_catalog.text) AS timezone_1
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.id = $2::BIGINT
