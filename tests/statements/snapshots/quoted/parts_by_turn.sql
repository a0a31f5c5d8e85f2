-- $1 param_1
-- $2 param_2
-- $3 param_3
-- $4 param_4
-- $5 param_5
-- $6 param_6
-- $7 param_7
SELECT "we""ird: 50% Schema"._private_jobs.id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NULL AND "we""ird: 50% Schema"._private_jobs.priority = $1::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at = pg_catalog.timezone($2::pg_catalog.text, CAST($3::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND "we""ird: 50% Schema"._private_jobs.id > $4::BIGINT UNION ALL SELECT "we""ird: 50% Schema"._private_jobs.id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NULL AND "we""ird: 50% Schema"._private_jobs.priority = $1::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at > pg_catalog.timezone($2::pg_catalog.text, CAST($3::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) UNION ALL SELECT "we""ird: 50% Schema"._private_jobs.id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NULL AND "we""ird: 50% Schema"._private_jobs.priority > $1::SMALLINT AND "we""ird: 50% Schema"._private_jobs.priority < $5::SMALLINT UNION ALL SELECT "we""ird: 50% Schema"._private_jobs.id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NULL AND "we""ird: 50% Schema"._private_jobs.priority = $5::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at < pg_catalog.timezone($2::pg_catalog.text, CAST($6::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) UNION ALL SELECT "we""ird: 50% Schema"._private_jobs.id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NULL AND "we""ird: 50% Schema"._private_jobs.priority = $5::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at = pg_catalog.timezone($2::pg_catalog.text, CAST($6::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND "we""ird: 50% Schema"._private_jobs.id <= $7::BIGINT
