-- $1 param_1
-- $2 param_2
-- $3 param_3
-- $4 param_4
-- $5 param_5
-- $6 param_6
-- $7 param_7
SELECT graphile_worker._private_jobs.id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NULL AND graphile_worker._private_jobs.priority = $1::SMALLINT AND graphile_worker._private_jobs.run_at = pg_catalog.timezone($2::pg_catalog.text, CAST($3::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND graphile_worker._private_jobs.id > $4::BIGINT UNION ALL SELECT graphile_worker._private_jobs.id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NULL AND graphile_worker._private_jobs.priority = $1::SMALLINT AND graphile_worker._private_jobs.run_at > pg_catalog.timezone($2::pg_catalog.text, CAST($3::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) UNION ALL SELECT graphile_worker._private_jobs.id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NULL AND graphile_worker._private_jobs.priority > $1::SMALLINT AND graphile_worker._private_jobs.priority < $5::SMALLINT UNION ALL SELECT graphile_worker._private_jobs.id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NULL AND graphile_worker._private_jobs.priority = $5::SMALLINT AND graphile_worker._private_jobs.run_at < pg_catalog.timezone($2::pg_catalog.text, CAST($6::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) UNION ALL SELECT graphile_worker._private_jobs.id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.is_available AND graphile_worker._private_jobs.job_queue_id IS NULL AND graphile_worker._private_jobs.priority = $5::SMALLINT AND graphile_worker._private_jobs.run_at = pg_catalog.timezone($2::pg_catalog.text, CAST($6::pg_catalog.text AS TIMESTAMP WITHOUT TIME ZONE)) AND graphile_worker._private_jobs.id <= $7::BIGINT
