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
-- $25 param_25
-- $26 param_26
-- $27 param_27
-- $28 param_28
-- $29 param_29
-- $30 param_30
-- $31 param_31
-- $32 param_32
-- $33 param_33
-- $34 param_34
SELECT anon_1.id, anon_1.priority, CAST(pg_catalog.timezone($1::pg_catalog.text, anon_1.run_at) AS pg_catalog.text) AS timezone_1
FROM ((SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NULL AND graphile_worker._private_jobs.priority = $2::SMALLINT AND graphile_worker._private_jobs.run_at = pg_catalog.timezone($1::pg_catalog.text, CAST($3::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND graphile_worker._private_jobs.id > $4::BIGINT ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $5::INTEGER OFFSET $6::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NULL AND graphile_worker._private_jobs.priority = $2::SMALLINT AND graphile_worker._private_jobs.run_at > pg_catalog.timezone($1::pg_catalog.text, CAST($3::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $7::INTEGER OFFSET $8::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NULL AND graphile_worker._private_jobs.priority > $2::SMALLINT AND graphile_worker._private_jobs.priority < $9::SMALLINT ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $10::INTEGER OFFSET $11::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NULL AND graphile_worker._private_jobs.priority = $9::SMALLINT AND graphile_worker._private_jobs.run_at < pg_catalog.timezone($1::pg_catalog.text, CAST($12::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $13::INTEGER OFFSET $14::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NULL AND graphile_worker._private_jobs.priority = $9::SMALLINT AND graphile_worker._private_jobs.run_at = pg_catalog.timezone($1::pg_catalog.text, CAST($12::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND graphile_worker._private_jobs.id <= $15::BIGINT ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $16::INTEGER OFFSET $17::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NOT NULL AND graphile_worker._private_jobs.priority = $18::SMALLINT AND graphile_worker._private_jobs.run_at = pg_catalog.timezone($1::pg_catalog.text, CAST($19::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND graphile_worker._private_jobs.id > $20::BIGINT ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $21::INTEGER OFFSET $22::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NOT NULL AND graphile_worker._private_jobs.priority = $18::SMALLINT AND graphile_worker._private_jobs.run_at > pg_catalog.timezone($1::pg_catalog.text, CAST($19::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $23::INTEGER OFFSET $24::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NOT NULL AND graphile_worker._private_jobs.priority > $18::SMALLINT AND graphile_worker._private_jobs.priority < $25::SMALLINT ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $26::INTEGER OFFSET $27::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NOT NULL AND graphile_worker._private_jobs.priority = $25::SMALLINT AND graphile_worker._private_jobs.run_at < pg_catalog.timezone($1::pg_catalog.text, CAST($28::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $29::INTEGER OFFSET $30::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NOT NULL AND graphile_worker._private_jobs.priority = $25::SMALLINT AND graphile_worker._private_jobs.run_at = pg_catalog.timezone($1::pg_catalog.text, CAST($28::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND graphile_worker._private_jobs.id <= $31::BIGINT ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $32::INTEGER OFFSET $33::INTEGER) ORDER BY priority, run_at, id
 LIMIT $34::INTEGER) AS anon_1
