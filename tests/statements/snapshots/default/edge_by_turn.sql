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
SELECT anon_1.id, anon_1.priority, CAST(anon_1.run_at AS pg_catalog.text) AS run_at
FROM ((SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NULL AND (graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id) > ($1::SMALLINT, CAST($2::pg_catalog.text AS TIMESTAMP WITH TIME ZONE), $3::BIGINT) AND (graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id) <= ($4::SMALLINT, CAST($5::pg_catalog.text AS TIMESTAMP WITH TIME ZONE), $6::BIGINT) ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $7::INTEGER OFFSET $8::INTEGER) UNION ALL (SELECT graphile_worker._private_jobs.priority AS priority, graphile_worker._private_jobs.run_at AS run_at, graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NOT NULL AND (graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id) > ($9::SMALLINT, CAST($10::pg_catalog.text AS TIMESTAMP WITH TIME ZONE), $11::BIGINT) AND (graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id) <= ($12::SMALLINT, CAST($13::pg_catalog.text AS TIMESTAMP WITH TIME ZONE), $14::BIGINT) ORDER BY graphile_worker._private_jobs.priority, graphile_worker._private_jobs.run_at, graphile_worker._private_jobs.id
 LIMIT $15::INTEGER OFFSET $16::INTEGER) ORDER BY priority, run_at, id
 LIMIT $17::INTEGER) AS anon_1
