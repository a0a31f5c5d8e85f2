-- $1 param_1
-- $2 param_2
-- $3 left_1
-- $4 param_3
-- $5 param_4
SELECT "we""ird: 50% Schema"._private_tasks.identifier, pg_catalog.left(pg_catalog.split_part(pg_catalog.ltrim("we""ird: 50% Schema"._private_jobs.last_error, $1::pg_catalog.text), $2::pg_catalog.text, 1), $3::INTEGER) AS line, pg_catalog.count(*) AS jobs, pg_catalog.min(least("we""ird: 50% Schema"._private_jobs.run_at, pg_catalog.now())) AS first, pg_catalog.max(least("we""ird: 50% Schema"._private_jobs.run_at, pg_catalog.now())) AS last, pg_catalog.max("we""ird: 50% Schema"._private_jobs.id) AS sample
FROM "we""ird: 50% Schema"._private_jobs LEFT OUTER JOIN "we""ird: 50% Schema"._private_tasks ON "we""ird: 50% Schema"._private_tasks.id = "we""ird: 50% Schema"._private_jobs.task_id
WHERE "we""ird: 50% Schema"._private_jobs.id < $4::BIGINT AND "we""ird: 50% Schema"._private_jobs.id >= $5::BIGINT GROUP BY "we""ird: 50% Schema"._private_tasks.identifier, pg_catalog.left(pg_catalog.split_part(pg_catalog.ltrim("we""ird: 50% Schema"._private_jobs.last_error, $1::pg_catalog.text), $2::pg_catalog.text, 1), $3::INTEGER)
