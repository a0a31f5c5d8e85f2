-- $1 param_1
SELECT pg_catalog.count(*) AS jobs
FROM (SELECT 1
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available AND "we""ird: 50% Schema"._private_jobs.job_queue_id IS NOT NULL
 LIMIT $1::INTEGER) AS anon_1
