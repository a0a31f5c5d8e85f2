-- $1 param_1
-- $2 param_2
-- $3 param_3
SELECT anon_1.id
FROM (SELECT graphile_worker._private_jobs.id AS id
FROM graphile_worker._private_jobs
WHERE graphile_worker._private_jobs.id < $1::BIGINT AND graphile_worker._private_jobs.id >= $2::BIGINT ORDER BY graphile_worker._private_jobs.id DESC
 LIMIT $3::INTEGER) AS anon_1
