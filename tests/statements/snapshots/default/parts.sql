-- $1 param_1
-- $2 param_2
SELECT graphile_worker._private_jobs.id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.id < $1::BIGINT AND graphile_worker._private_jobs.id >= $2::BIGINT
