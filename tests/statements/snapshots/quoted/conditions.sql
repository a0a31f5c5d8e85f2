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
SELECT "we""ird: 50% Schema"._private_jobs.id
FROM "we""ird: 50% Schema"._private_jobs
WHERE ("we""ird: 50% Schema"._private_jobs.locked_at IS NULL AND "we""ird: 50% Schema"._private_jobs.attempts >= "we""ird: 50% Schema"._private_jobs.max_attempts OR "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.run_at <= pg_catalog.now()) AND ("we""ird: 50% Schema"._private_jobs.task_id NOT IN (SELECT "we""ird: 50% Schema"._private_tasks.id
FROM "we""ird: 50% Schema"._private_tasks
WHERE "we""ird: 50% Schema"._private_tasks.identifier = ANY ($1::pg_catalog.text[]))) AND "we""ird: 50% Schema"._private_jobs.job_queue_id = (SELECT "we""ird: 50% Schema"._private_job_queues.id
FROM "we""ird: 50% Schema"._private_job_queues
WHERE "we""ird: 50% Schema"._private_job_queues.queue_name = ANY ($2::pg_catalog.text[])) AND "we""ird: 50% Schema"._private_jobs.key IS NULL AND "we""ird: 50% Schema"._private_jobs.locked_by IS NULL AND "we""ird: 50% Schema"._private_jobs.priority <= $3::SMALLINT AND "we""ird: 50% Schema"._private_jobs.attempts >= $4::SMALLINT AND "we""ird: 50% Schema"._private_jobs.created_at >= pg_catalog.now() + $5::INTERVAL AND "we""ird: 50% Schema"._private_jobs.run_at < $6::TIMESTAMP WITH TIME ZONE AND ("we""ird: 50% Schema"._private_jobs.flags ?& $7::pg_catalog.text[]) AND coalesce("we""ird: 50% Schema"._private_jobs.flags ?| $8::pg_catalog.text[], $9::BOOLEAN) IS false AND "we""ird: 50% Schema"._private_jobs.id >= $10::BIGINT AND pg_catalog.strpos(pg_catalog.lower("we""ird: 50% Schema"._private_jobs.last_error), pg_catalog.lower($11::pg_catalog.text)) > $12::INTEGER AND coalesce(pg_catalog.strpos(pg_catalog.lower("we""ird: 50% Schema"._private_jobs.last_error), pg_catalog.lower($13::pg_catalog.text)), $14::INTEGER) = $15::INTEGER AND CASE WHEN (pg_catalog.strpos(CAST("we""ird: 50% Schema"._private_jobs.payload AS pg_catalog.text), $16::pg_catalog.text) > $17::INTEGER) THEN NULL WHEN (CAST("we""ird: 50% Schema"._private_jobs.payload AS pg_catalog.text) ~ $18::pg_catalog.text AND pg_catalog.regexp_replace(CAST("we""ird: 50% Schema"._private_jobs.payload AS pg_catalog.text), $19::pg_catalog.text, $20::pg_catalog.text, $21::pg_catalog.text) ~ $22::pg_catalog.text) THEN NULL ELSE "we""ird: 50% Schema"._private_jobs.payload operator(pg_catalog.#>>) $23::pg_catalog.text[] END = $24::pg_catalog.text AND CASE WHEN (pg_catalog.strpos(CAST("we""ird: 50% Schema"._private_jobs.payload AS pg_catalog.text), $25::pg_catalog.text) > $26::INTEGER) THEN NULL WHEN (CAST("we""ird: 50% Schema"._private_jobs.payload AS pg_catalog.text) ~ $27::pg_catalog.text AND pg_catalog.regexp_replace(CAST("we""ird: 50% Schema"._private_jobs.payload AS pg_catalog.text), $28::pg_catalog.text, $29::pg_catalog.text, $30::pg_catalog.text) ~ $31::pg_catalog.text) THEN NULL ELSE "we""ird: 50% Schema"._private_jobs.payload operator(pg_catalog.#>>) $32::pg_catalog.text[] END IS NULL
