-- $1 param_1
-- $2 param_2
SELECT "we""ird: 50% Schema"._private_jobs.id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.id < $1::BIGINT AND "we""ird: 50% Schema"._private_jobs.id >= $2::BIGINT
