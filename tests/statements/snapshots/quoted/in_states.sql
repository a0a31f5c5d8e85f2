SELECT "we""ird: 50% Schema"._private_jobs.id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.is_available OR "we""ird: 50% Schema"._private_jobs.locked_at IS NULL AND "we""ird: 50% Schema"._private_jobs.attempts >= "we""ird: 50% Schema"._private_jobs.max_attempts OR "we""ird: 50% Schema"._private_jobs.locked_at IS NOT NULL
