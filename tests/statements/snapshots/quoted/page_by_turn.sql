-- $1 pg_column_size_1
-- $2 param_1
-- $3 left_1
-- $4 param_2
-- $5 param_3
-- $6 param_4
-- $7 param_5
-- $8 param_6
-- $9 param_7
-- $10 param_8
-- $11 param_9
-- $12 param_10
-- $13 param_11
-- $14 param_12
-- $15 param_13
-- $16 param_14
-- $17 param_15
-- $18 param_16
-- $19 param_17
-- $20 param_18
-- $21 param_19
-- $22 param_20
-- $23 param_21
-- $24 param_22
-- $25 param_23
-- $26 param_24
-- $27 param_25
SELECT "we""ird: 50% Schema"._private_jobs.id AS id, "we""ird: 50% Schema"._private_jobs.task_id AS task_id, "we""ird: 50% Schema"._private_jobs.job_queue_id AS job_queue_id, CASE WHEN (pg_catalog.pg_column_size("we""ird: 50% Schema"._private_jobs.payload) <= $1::INTEGER) THEN CAST("we""ird: 50% Schema"._private_jobs.payload AS pg_catalog.text) ELSE $2::pg_catalog.text END AS payload_text, "we""ird: 50% Schema"._private_jobs.priority AS priority, least(greatest("we""ird: 50% Schema"._private_jobs.run_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') AS run_at, "we""ird: 50% Schema"._private_jobs.attempts AS attempts, "we""ird: 50% Schema"._private_jobs.max_attempts AS max_attempts, pg_catalog.left("we""ird: 50% Schema"._private_jobs.last_error, $3::INTEGER) AS last_error, "we""ird: 50% Schema"._private_jobs.created_at AS created_at, "we""ird: 50% Schema"._private_jobs.updated_at AS updated_at, "we""ird: 50% Schema"._private_jobs.key AS key, CASE WHEN ("we""ird: 50% Schema"._private_jobs.locked_at IS NOT NULL) THEN least(greatest("we""ird: 50% Schema"._private_jobs.locked_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') END AS locked_at, "we""ird: 50% Schema"._private_jobs.locked_by AS locked_by, "we""ird: 50% Schema"._private_jobs.revision AS revision, "we""ird: 50% Schema"._private_jobs.flags AS flags, "we""ird: 50% Schema"._private_tasks.identifier AS task_identifier, "we""ird: 50% Schema"._private_job_queues.queue_name, CASE WHEN ("we""ird: 50% Schema"._private_jobs.locked_at IS NOT NULL) THEN 'locked' WHEN ("we""ird: 50% Schema"._private_jobs.attempts >= "we""ird: 50% Schema"._private_jobs.max_attempts) THEN 'failed' WHEN ("we""ird: 50% Schema"._private_jobs.run_at <= pg_catalog.now()) THEN 'ready' WHEN ("we""ird: 50% Schema"._private_jobs.attempts > 0) THEN 'retrying' ELSE 'scheduled' END AS state, pg_catalog.pg_column_size("we""ird: 50% Schema"._private_jobs.payload) AS stored_size, CAST(pg_catalog.timezone($4::pg_catalog.text, "we""ird: 50% Schema"._private_jobs.run_at) AS pg_catalog.text) AS place_run_at
FROM "we""ird: 50% Schema"._private_jobs LEFT OUTER JOIN "we""ird: 50% Schema"._private_tasks ON "we""ird: 50% Schema"._private_tasks.id = "we""ird: 50% Schema"._private_jobs.task_id LEFT OUTER JOIN "we""ird: 50% Schema"._private_job_queues ON "we""ird: 50% Schema"._private_job_queues.id = "we""ird: 50% Schema"._private_jobs.job_queue_id JOIN ((SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NULL AND "we""ird: 50% Schema"._private_jobs.priority = $5::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at = pg_catalog.timezone($4::pg_catalog.text, CAST($6::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND "we""ird: 50% Schema"._private_jobs.id > $7::BIGINT ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $8::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NULL AND "we""ird: 50% Schema"._private_jobs.priority = $5::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at > pg_catalog.timezone($4::pg_catalog.text, CAST($6::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $9::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NULL AND "we""ird: 50% Schema"._private_jobs.priority > $5::SMALLINT AND "we""ird: 50% Schema"._private_jobs.priority < $10::SMALLINT ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $11::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NULL AND "we""ird: 50% Schema"._private_jobs.priority = $10::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at < pg_catalog.timezone($4::pg_catalog.text, CAST($12::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $13::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NULL AND "we""ird: 50% Schema"._private_jobs.priority = $10::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at = pg_catalog.timezone($4::pg_catalog.text, CAST($12::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND "we""ird: 50% Schema"._private_jobs.id <= $14::BIGINT ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $15::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NOT NULL AND "we""ird: 50% Schema"._private_jobs.priority = $16::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at = pg_catalog.timezone($4::pg_catalog.text, CAST($17::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND "we""ird: 50% Schema"._private_jobs.id > $18::BIGINT ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $19::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NOT NULL AND "we""ird: 50% Schema"._private_jobs.priority = $16::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at > pg_catalog.timezone($4::pg_catalog.text, CAST($17::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $20::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NOT NULL AND "we""ird: 50% Schema"._private_jobs.priority > $16::SMALLINT AND "we""ird: 50% Schema"._private_jobs.priority < $21::SMALLINT ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $22::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NOT NULL AND "we""ird: 50% Schema"._private_jobs.priority = $21::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at < pg_catalog.timezone($4::pg_catalog.text, CAST($23::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $24::INTEGER) UNION ALL (SELECT "we""ird: 50% Schema"._private_jobs.priority AS priority, "we""ird: 50% Schema"._private_jobs.run_at AS run_at, "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NOT NULL AND "we""ird: 50% Schema"._private_jobs.priority = $21::SMALLINT AND "we""ird: 50% Schema"._private_jobs.run_at = pg_catalog.timezone($4::pg_catalog.text, CAST($23::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND "we""ird: 50% Schema"._private_jobs.id <= $25::BIGINT ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
 LIMIT $26::INTEGER) ORDER BY priority, run_at, id
 LIMIT $27::INTEGER) AS anon_1 ON anon_1.id = "we""ird: 50% Schema"._private_jobs.id ORDER BY "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
