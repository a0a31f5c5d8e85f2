-- $1 param_1
-- $2 param_2
-- $3 priority_1
-- $4 attempts_1
-- $5 param_3
-- $6 param_4
-- $7 param_5
-- $8 param_6
-- $9 coalesce_1
-- $10 id_1
-- $11 param_7
-- $12 strpos_1
-- $13 param_8
-- $14 coalesce_2
-- $15 coalesce_3
-- $16 param_9
-- $17 strpos_2
-- $18 param_10
-- $19 param_11
-- $20 param_12
-- $21 param_13
-- $22 param_14
-- $23 param_15
-- $24 param_16
-- $25 param_17
-- $26 strpos_3
-- $27 param_18
-- $28 param_19
-- $29 param_20
-- $30 param_21
-- $31 param_22
-- $32 param_23
SELECT graphile_worker._private_jobs.id
FROM graphile_worker._private_jobs
WHERE (graphile_worker._private_jobs.locked_at IS NULL AND graphile_worker._private_jobs.attempts >= graphile_worker._private_jobs.max_attempts OR graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.run_at <= pg_catalog.now()) AND (graphile_worker._private_jobs.task_id NOT IN (SELECT graphile_worker._private_tasks.id
FROM graphile_worker._private_tasks
WHERE graphile_worker._private_tasks.identifier = ANY ($1::pg_catalog.text[]))) AND graphile_worker._private_jobs.job_queue_id = (SELECT graphile_worker._private_job_queues.id
FROM graphile_worker._private_job_queues
WHERE graphile_worker._private_job_queues.queue_name = ANY ($2::pg_catalog.text[])) AND graphile_worker._private_jobs.key IS NULL AND graphile_worker._private_jobs.locked_by IS NULL AND graphile_worker._private_jobs.priority <= $3::SMALLINT AND graphile_worker._private_jobs.attempts >= $4::SMALLINT AND graphile_worker._private_jobs.created_at >= pg_catalog.now() + $5::INTERVAL AND graphile_worker._private_jobs.run_at < $6::TIMESTAMP WITH TIME ZONE AND (graphile_worker._private_jobs.flags ?& $7::pg_catalog.text[]) AND coalesce(graphile_worker._private_jobs.flags ?| $8::pg_catalog.text[], $9::BOOLEAN) IS false AND graphile_worker._private_jobs.id >= $10::BIGINT AND pg_catalog.strpos(pg_catalog.lower(graphile_worker._private_jobs.last_error), pg_catalog.lower($11::pg_catalog.text)) > $12::INTEGER AND coalesce(pg_catalog.strpos(pg_catalog.lower(graphile_worker._private_jobs.last_error), pg_catalog.lower($13::pg_catalog.text)), $14::INTEGER) = $15::INTEGER AND CASE WHEN (pg_catalog.strpos(CAST(graphile_worker._private_jobs.payload AS pg_catalog.text), $16::pg_catalog.text) > $17::INTEGER) THEN NULL WHEN (CAST(graphile_worker._private_jobs.payload AS pg_catalog.text) ~ $18::pg_catalog.text AND pg_catalog.regexp_replace(CAST(graphile_worker._private_jobs.payload AS pg_catalog.text), $19::pg_catalog.text, $20::pg_catalog.text, $21::pg_catalog.text) ~ $22::pg_catalog.text) THEN NULL ELSE graphile_worker._private_jobs.payload operator(pg_catalog.#>>) $23::pg_catalog.text[] END = $24::pg_catalog.text AND CASE WHEN (pg_catalog.strpos(CAST(graphile_worker._private_jobs.payload AS pg_catalog.text), $25::pg_catalog.text) > $26::INTEGER) THEN NULL WHEN (CAST(graphile_worker._private_jobs.payload AS pg_catalog.text) ~ $27::pg_catalog.text AND pg_catalog.regexp_replace(CAST(graphile_worker._private_jobs.payload AS pg_catalog.text), $28::pg_catalog.text, $29::pg_catalog.text, $30::pg_catalog.text) ~ $31::pg_catalog.text) THEN NULL ELSE graphile_worker._private_jobs.payload operator(pg_catalog.#>>) $32::pg_catalog.text[] END IS NULL
