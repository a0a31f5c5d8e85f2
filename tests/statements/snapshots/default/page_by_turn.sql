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
SELECT graphile_worker._private_jobs.id AS id, graphile_worker._private_jobs.task_id AS task_id, graphile_worker._private_jobs.job_queue_id AS job_queue_id, CASE WHEN (pg_catalog.pg_column_size(graphile_worker._private_jobs.payload) <= $1::INTEGER) THEN CAST(graphile_worker._private_jobs.payload AS pg_catalog.text) ELSE $2::pg_catalog.text END AS payload_text, graphile_worker._private_jobs.priority AS priority, least(greatest(graphile_worker._private_jobs.run_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') AS run_at, graphile_worker._private_jobs.attempts AS attempts, graphile_worker._private_jobs.max_attempts AS max_attempts, pg_catalog.left(graphile_worker._private_jobs.last_error, $3::INTEGER) AS last_error, graphile_worker._private_jobs.created_at AS created_at, graphile_worker._private_jobs.updated_at AS updated_at, graphile_worker._private_jobs.key AS key, CASE WHEN (graphile_worker._private_jobs.locked_at IS NOT NULL) THEN least(greatest(graphile_worker._private_jobs.locked_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') END AS locked_at, graphile_worker._private_jobs.locked_by AS locked_by, graphile_worker._private_jobs.revision AS revision, graphile_worker._private_jobs.flags AS flags, graphile_worker._private_tasks.identifier AS task_identifier, graphile_worker._private_job_queues.queue_name, CASE WHEN (graphile_worker._private_jobs.locked_at IS NOT NULL) THEN 'locked' WHEN (graphile_worker._private_jobs.attempts >= graphile_worker._private_jobs.max_attempts) THEN 'failed' WHEN (graphile_worker._private_jobs.run_at <= pg_catalog.now()) THEN 'ready' WHEN (graphile_worker._private_jobs.attempts > 0) THEN 'retrying' ELSE 'scheduled' END AS state, pg_catalog.pg_column_size(graphile_worker._private_jobs.payload) AS stored_size, CAST(pg_catalog.timezone($4::pg_catalog.text, graphile_worker._private_jobs.run_at) AS pg_catalog.text) AS place_run_at
FROM graphile_worker._private_jobs LEFT OUTER JOIN graphile_worker._private_tasks ON graphile_worker._private_tasks.id = graphile_worker._private_jobs.task_id LEFT OUTER JOIN graphile_worker._private_job_queues ON graphile_worker._private_job_queues.id = graphile_worker._private_jobs.job_queue_id JOIN ((SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NULL AND graphile_worker._private_jobs.priority = $5::SMALLINT AND graphile_worker._private_jobs.run_at = pg_catalog.timezone($4::pg_catalog.text, CAST($6::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND graphile_worker._private_jobs.id > $7::BIGINT ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $8::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NULL AND graphile_worker._private_jobs.priority = $5::SMALLINT AND graphile_worker._private_jobs.run_at > pg_catalog.timezone($4::pg_catalog.text, CAST($6::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $9::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NULL AND graphile_worker._private_jobs.priority > $5::SMALLINT AND graphile_worker._private_jobs.priority < $10::SMALLINT ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $11::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NULL AND graphile_worker._private_jobs.priority = $10::SMALLINT AND graphile_worker._private_jobs.run_at < pg_catalog.timezone($4::pg_catalog.text, CAST($12::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $13::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NULL AND graphile_worker._private_jobs.priority = $10::SMALLINT AND graphile_worker._private_jobs.run_at = pg_catalog.timezone($4::pg_catalog.text, CAST($12::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND graphile_worker._private_jobs.id <= $14::BIGINT ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $15::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NOT NULL AND graphile_worker._private_jobs.priority = $16::SMALLINT AND graphile_worker._private_jobs.run_at = pg_catalog.timezone($4::pg_catalog.text, CAST($17::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND graphile_worker._private_jobs.id > $18::BIGINT ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $19::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NOT NULL AND graphile_worker._private_jobs.priority = $16::SMALLINT AND graphile_worker._private_jobs.run_at > pg_catalog.timezone($4::pg_catalog.text, CAST($17::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $20::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NOT NULL AND graphile_worker._private_jobs.priority > $16::SMALLINT AND graphile_worker._private_jobs.priority < $21::SMALLINT ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $22::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NOT NULL AND graphile_worker._private_jobs.priority = $21::SMALLINT AND graphile_worker._private_jobs.run_at < pg_catalog.timezone($4::pg_catalog.text, CAST($23::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $24::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NOT NULL AND graphile_worker._private_jobs.priority = $21::SMALLINT AND graphile_worker._private_jobs.run_at = pg_catalog.timezone($4::pg_catalog.text, CAST($23::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND graphile_worker._private_jobs.id <= $25::BIGINT ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $26::INTEGER) ORDER BY priority, run_at, id
 LIMIT $27::INTEGER) AS anon_1 ON anon_1.id = graphile_worker._private_jobs.id ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
