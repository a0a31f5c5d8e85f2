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
SELECT graphile_worker._private_jobs.id AS id, graphile_worker._private_jobs.task_id AS task_id, graphile_worker._private_jobs.job_queue_id AS job_queue_id, CASE WHEN (pg_catalog.pg_column_size(graphile_worker._private_jobs.payload) <= $1::INTEGER) THEN CAST(graphile_worker._private_jobs.payload AS pg_catalog.text) ELSE $2::pg_catalog.text END AS payload_text, graphile_worker._private_jobs.priority AS priority, least(greatest(graphile_worker._private_jobs.run_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') AS run_at, graphile_worker._private_jobs.attempts AS attempts, graphile_worker._private_jobs.max_attempts AS max_attempts, pg_catalog.left(graphile_worker._private_jobs.last_error, $3::INTEGER) AS last_error, graphile_worker._private_jobs.created_at AS created_at, graphile_worker._private_jobs.updated_at AS updated_at, graphile_worker._private_jobs.key AS key, CASE WHEN (graphile_worker._private_jobs.locked_at IS NOT NULL) THEN least(greatest(graphile_worker._private_jobs.locked_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') END AS locked_at, graphile_worker._private_jobs.locked_by AS locked_by, graphile_worker._private_jobs.revision AS revision, graphile_worker._private_jobs.flags AS flags, graphile_worker._private_tasks.identifier AS task_identifier, graphile_worker._private_job_queues.queue_name, CASE WHEN (graphile_worker._private_jobs.locked_at IS NOT NULL) THEN 'locked' WHEN (graphile_worker._private_jobs.attempts >= graphile_worker._private_jobs.max_attempts) THEN 'failed' WHEN (graphile_worker._private_jobs.run_at <= pg_catalog.now()) THEN 'ready' WHEN (graphile_worker._private_jobs.attempts > 0) THEN 'retrying' ELSE 'scheduled' END AS state, pg_catalog.pg_column_size(graphile_worker._private_jobs.payload) AS stored_size, CAST(pg_catalog.timezone($4::pg_catalog.text, graphile_worker._private_jobs.run_at) AS pg_catalog.text) AS place_run_at
FROM graphile_worker._private_jobs LEFT OUTER JOIN graphile_worker._private_tasks ON graphile_worker._private_tasks.id = graphile_worker._private_jobs.task_id LEFT OUTER JOIN graphile_worker._private_job_queues ON graphile_worker._private_job_queues.id = graphile_worker._private_jobs.job_queue_id JOIN (SELECT graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.id < $5::BIGINT AND graphile_worker._private_jobs.id >= $6::BIGINT AND (graphile_worker._private_jobs.locked_at IS NULL AND graphile_worker._private_jobs.attempts >= graphile_worker._private_jobs.max_attempts OR graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.run_at <= pg_catalog.now()) AND (graphile_worker._private_jobs.task_id NOT IN (SELECT graphile_worker._private_tasks.id
FROM graphile_worker._private_tasks
WHERE graphile_worker._private_tasks.identifier = ANY ($7::pg_catalog.text[]))) AND graphile_worker._private_jobs.job_queue_id = (SELECT graphile_worker._private_job_queues.id
FROM graphile_worker._private_job_queues
WHERE graphile_worker._private_job_queues.queue_name = ANY ($8::pg_catalog.text[])) AND graphile_worker._private_jobs.key IS NULL AND graphile_worker._private_jobs.locked_by IS NULL AND graphile_worker._private_jobs.priority <= $9::SMALLINT AND graphile_worker._private_jobs.attempts >= $10::SMALLINT AND graphile_worker._private_jobs.created_at >= pg_catalog.now() + $11::INTERVAL AND graphile_worker._private_jobs.run_at < $12::TIMESTAMP WITH TIME ZONE AND (graphile_worker._private_jobs.flags ?& $13::pg_catalog.text[]) AND coalesce(graphile_worker._private_jobs.flags ?| $14::pg_catalog.text[], $15::BOOLEAN) IS false AND graphile_worker._private_jobs.id >= $16::BIGINT AND pg_catalog.strpos(pg_catalog.lower(graphile_worker._private_jobs.last_error), pg_catalog.lower($17::pg_catalog.text)) > $18::INTEGER AND coalesce(pg_catalog.strpos(pg_catalog.lower(graphile_worker._private_jobs.last_error), pg_catalog.lower($19::pg_catalog.text)), $20::INTEGER) = $21::INTEGER AND CASE WHEN (pg_catalog.strpos(CAST(graphile_worker._private_jobs.payload AS pg_catalog.text), $22::pg_catalog.text) > $23::INTEGER) THEN NULL WHEN (CAST(graphile_worker._private_jobs.payload AS pg_catalog.text) ~ $24::pg_catalog.text AND pg_catalog.regexp_replace(CAST(graphile_worker._private_jobs.payload AS pg_catalog.text), $25::pg_catalog.text, $26::pg_catalog.text, $27::pg_catalog.text) ~ $28::pg_catalog.text) THEN NULL ELSE graphile_worker._private_jobs.payload operator(pg_catalog.#>>) $29::pg_catalog.text[] END = $30::pg_catalog.text AND CASE WHEN (pg_catalog.strpos(CAST(graphile_worker._private_jobs.payload AS pg_catalog.text), $31::pg_catalog.text) > $32::INTEGER) THEN NULL WHEN (CAST(graphile_worker._private_jobs.payload AS pg_catalog.text) ~ $33::pg_catalog.text AND pg_catalog.regexp_replace(CAST(graphile_worker._private_jobs.payload AS pg_catalog.text), $34::pg_catalog.text, $35::pg_catalog.text, $36::pg_catalog.text) ~ $37::pg_catalog.text) THEN NULL ELSE graphile_worker._private_jobs.payload operator(pg_catalog.#>>) $38::pg_catalog.text[] END IS NULL ORDER BY graphile_worker._private_jobs.id DESC
 LIMIT $39::INTEGER) AS anon_1 ON anon_1.id = graphile_worker._private_jobs.id ORDER BY graphile_worker._private_jobs.id DESC
