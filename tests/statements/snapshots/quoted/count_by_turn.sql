-- $1 param_1
-- $2 param_2
-- $3 param_3
-- $4 param_4
-- $5 param_5
-- $6 param_6
-- $7 param_7
-- $8 param_8
-- $9 param_9
-- $10 param_10
-- $11 param_11
-- $12 param_12
-- $13 param_13
-- $14 param_14
-- $15 param_15
-- $16 param_16
-- $17 param_17
-- $18 param_18
-- $19 param_19
-- $20 param_20
-- $21 param_21
-- $22 param_22
-- $23 param_23
-- $24 param_24
SELECT pg_catalog.count(*) AS jobs
FROM ((SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NULL AND "we""ird: 50% Schema"._private_jobs.priority = $1::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at = pg_catalog.timezone($2::pg_catalog.text, CAST($3::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND "we""ird: 50% Schema"._private_jobs.id > $4::BIGINT ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $5::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NULL AND "we""ird: 50% Schema"._private_jobs.priority = $1::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at > pg_catalog.timezone($2::pg_catalog.text, CAST($3::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $6::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NULL AND "we""ird: 50% Schema"._private_jobs.priority > $1::SMALLINT AND "we""ird: 50% Schema"._private_jobs.priority < $7::SMALLINT ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $8::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NULL AND "we""ird: 50% Schema"._private_jobs.priority = $7::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at < pg_catalog.timezone($2::pg_catalog.text, CAST($9::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $10::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NULL AND "we""ird: 50% Schema"._private_jobs.priority = $7::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at = pg_catalog.timezone($2::pg_catalog.text, CAST($9::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND "we""ird: 50% Schema"._private_jobs.id <= $11::BIGINT ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $12::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NOT NULL AND "we""ird: 50% Schema"._private_jobs.priority = $13::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at = pg_catalog.timezone($2::pg_catalog.text, CAST($14::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND "we""ird: 50% Schema"._private_jobs.id > $15::BIGINT ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $16::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NOT NULL AND "we""ird: 50% Schema"._private_jobs.priority = $13::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at > pg_catalog.timezone($2::pg_catalog.text, CAST($14::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $17::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NOT NULL AND "we""ird: 50% Schema"._private_jobs.priority > $13::SMALLINT AND "we""ird: 50% Schema"._private_jobs.priority < $18::SMALLINT ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $19::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NOT NULL AND "we""ird: 50% Schema"._private_jobs.priority = $18::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at < pg_catalog.timezone($2::pg_catalog.text, CAST($20::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $21::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NOT NULL AND "we""ird: 50% Schema"._private_jobs.priority = $18::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at = pg_catalog.timezone($2::pg_catalog.text, CAST($20::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND "we""ird: 50% Schema"._private_jobs.id <= $22::BIGINT ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $23::INTEGER) ORDER BY priority, run_at, id
 LIMIT $24::INTEGER) AS anon_1
