-- $1 pg_column_size_1
-- $2 param_1
-- $3 left_1
-- $4 param_2
-- $5 param_3
-- $6 param_4
-- $7 param_5
-- $8 param_6
-- $9 priority_1
-- $10 attempts_1
-- $11 param_7
-- $12 param_8
-- $13 param_9
-- $14 param_10
-- $15 coalesce_1
-- $16 id_1
-- $17 param_11
-- $18 strpos_1
-- $19 param_12
-- $20 coalesce_2
-- $21 coalesce_3
-- $22 param_13
-- $23 strpos_2
-- $24 param_14
-- $25 param_15
-- $26 param_16
-- $27 param_17
-- $28 param_18
-- $29 param_19
-- $30 param_20
-- $31 param_21
-- $32 strpos_3
-- $33 param_22
-- $34 param_23
-- $35 param_24
-- $36 param_25
-- $37 param_26
-- $38 param_27
-- $39 param_28
SELECT "we""ird: 50% Schema"._private_jobs.id AS id, "we""ird: 50% Schema"._private_jobs.task_id AS task_id, "we""ird: 50% Schema"._private_jobs.job_queue_id AS job_queue_id, CASE WHEN (pg_catalog.pg_column_size("we""ird: 50% Schema"._private_jobs.payload) <= $1::INTEGER) THEN CAST("we""ird: 50% Schema"._private_jobs.payload AS pg_catalog.text) ELSE $2::pg_catalog.text END AS payload_text, "we""ird: 50% Schema"._private_jobs.priority AS priority, least(greatest("we""ird: 50% Schema"._private_jobs.run_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') AS run_at, "we""ird: 50% Schema"._private_jobs.attempts AS attempts, "we""ird: 50% Schema"._private_jobs.max_attempts AS max_attempts, pg_catalog.left("we""ird: 50% Schema"._private_jobs.last_error, $3::INTEGER) AS last_error, "we""ird: 50% Schema"._private_jobs.created_at AS created_at, "we""ird: 50% Schema"._private_jobs.updated_at AS updated_at, "we""ird: 50% Schema"._private_jobs.key AS key, CASE WHEN ("we""ird: 50% Schema"._private_jobs.locked_at IS NOT NULL) THEN least(greatest("we""ird: 50% Schema"._private_jobs.locked_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') END AS locked_at, "we""ird: 50% Schema"._private_jobs.locked_by AS locked_by, "we""ird: 50% Schema"._private_jobs.revision AS revision, "we""ird: 50% Schema"._private_jobs.flags AS flags, "we""ird: 50% Schema"._private_tasks.identifier AS task_identifier, "we""ird: 50% Schema"._private_job_queues.queue_name, CASE WHEN ("we""ird: 50% Schema"._private_jobs.locked_at IS NOT NULL) THEN 'locked' WHEN ("we""ird: 50% Schema"._private_jobs.attempts >= "we""ird: 50% Schema"._private_jobs.max_attempts) THEN 'failed' WHEN ("we""ird: 50% Schema"._private_jobs.run_at <= pg_catalog.now()) THEN 'ready' WHEN ("we""ird: 50% Schema"._private_jobs.attempts > 0) THEN 'retrying' ELSE 'scheduled' END AS state, pg_catalog.pg_column_size("we""ird: 50% Schema"._private_jobs.payload) AS stored_size, CAST(pg_catalog.timezone($4::pg_catalog.text, "we""ird: 50% Schema"._private_jobs.run_at) AS pg_catalog.text) AS place_run_at
FROM "we""ird: 50% Schema"._private_jobs LEFT OUTER JOIN "we""ird: 50% Schema"._private_tasks ON "we""ird: 50% Schema"._private_tasks.id = "we""ird: 50% Schema"._private_jobs.task_id LEFT OUTER JOIN "we""ird: 50% Schema"._private_job_queues ON "we""ird: 50% Schema"._private_job_queues.id = "we""ird: 50% Schema"._private_jobs.job_queue_id JOIN (SELECT "we""ird: 50% Schema"._private_jobs.id AS id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.id < $5::BIGINT AND "we""ird: 50% Schema"._private_jobs.id >= $6::BIGINT AND ("we""ird: 50% Schema"._private_jobs.locked_at IS NULL AND "we""ird: 50% Schema"._private_jobs.attempts >= "we""ird: 50% Schema"._private_jobs.max_attempts OR "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.run_at <= pg_catalog.now()) AND ("we""ird: 50% Schema"._private_jobs.task_id NOT IN (SELECT "we""ird: 50% Schema"._private_tasks.id
FROM "we""ird: 50% Schema"._private_tasks
WHERE "we""ird: 50% Schema"._private_tasks.identifier = ANY ($7::pg_catalog.text[]))) AND "we""ird: 50% Schema"._private_jobs.job_queue_id = (SELECT "we""ird: 50% Schema"._private_job_queues.id
FROM "we""ird: 50% Schema"._private_job_queues
WHERE "we""ird: 50% Schema"._private_job_queues.queue_name = ANY ($8::pg_catalog.text[])) AND "we""ird: 50% Schema"._private_jobs.key IS NULL AND "we""ird: 50% Schema"._private_jobs.locked_by IS NULL AND "we""ird: 50% Schema"._private_jobs.priority <= $9::SMALLINT AND "we""ird: 50% Schema"._private_jobs.attempts >= $10::SMALLINT AND "we""ird: 50% Schema"._private_jobs.created_at >= pg_catalog.now() + $11::INTERVAL AND "we""ird: 50% Schema"._private_jobs.run_at < $12::TIMESTAMP WITH TIME ZONE AND ("we""ird: 50% Schema"._private_jobs.flags ?& $13::pg_catalog.text[]) AND coalesce("we""ird: 50% Schema"._private_jobs.flags ?| $14::pg_catalog.text[], $15::BOOLEAN) IS false AND "we""ird: 50% Schema"._private_jobs.id >= $16::BIGINT AND pg_catalog.strpos(pg_catalog.lower("we""ird: 50% Schema"._private_jobs.last_error), pg_catalog.lower($17::pg_catalog.text)) > $18::INTEGER AND coalesce(pg_catalog.strpos(pg_catalog.lower("we""ird: 50% Schema"._private_jobs.last_error), pg_catalog.lower($19::pg_catalog.text)), $20::INTEGER) = $21::INTEGER AND CASE WHEN (pg_catalog.strpos(CAST("we""ird: 50% Schema"._private_jobs.payload AS pg_catalog.text), $22::pg_catalog.text) > $23::INTEGER) THEN NULL WHEN (CAST("we""ird: 50% Schema"._private_jobs.payload AS pg_catalog.text) ~ $24::pg_catalog.text AND pg_catalog.regexp_replace(CAST("we""ird: 50% Schema"._private_jobs.payload AS pg_catalog.text), $25::pg_catalog.text, $26::pg_catalog.text, $27::pg_catalog.text) ~ $28::pg_catalog.text) THEN NULL ELSE "we""ird: 50% Schema"._private_jobs.payload operator(pg_catalog.#>>) $29::pg_catalog.text[] END = $30::pg_catalog.text AND CASE WHEN (pg_catalog.strpos(CAST("we""ird: 50% Schema"._private_jobs.payload AS pg_catalog.text), $31::pg_catalog.text) > $32::INTEGER) THEN NULL WHEN (CAST("we""ird: 50% Schema"._private_jobs.payload AS pg_catalog.text) ~ $33::pg_catalog.text AND pg_catalog.regexp_replace(CAST("we""ird: 50% Schema"._private_jobs.payload AS pg_catalog.text), $34::pg_catalog.text, $35::pg_catalog.text, $36::pg_catalog.text) ~ $37::pg_catalog.text) THEN NULL ELSE "we""ird: 50% Schema"._private_jobs.payload operator(pg_catalog.#>>) $38::pg_catalog.text[] END IS NULL ORDER BY "we""ird: 50% Schema"._private_jobs.id DESC
 LIMIT $39::INTEGER) AS anon_1 ON anon_1.id = "we""ird: 50% Schema"._private_jobs.id ORDER BY "we""ird: 50% Schema"._private_jobs.id DESC
