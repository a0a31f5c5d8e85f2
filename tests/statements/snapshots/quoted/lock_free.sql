-- $1 param_1
-- $2 param_2
-- $3 param_3
SELECT "we""ird: 50% Schema"._private_jobs.id
FROM "we""ird: 50% Schema"._private_jobs
WHERE "we""ird: 50% Schema"._private_jobs.id = ANY ($1::BIGINT[]) AND ("we""ird: 50% Schema"._private_jobs.locked_at IS NULL OR "we""ird: 50% Schema"._private_jobs.locked_at < pg_catalog.now() - $2::INTERVAL) AND "we""ird: 50% Schema"._private_jobs.task_id IN (SELECT "we""ird: 50% Schema"._private_tasks.id
FROM "we""ird: 50% Schema"._private_tasks
WHERE "we""ird: 50% Schema"._private_tasks.identifier = ANY ($3::pg_catalog.text[])) ORDER BY "we""ird: 50% Schema"._private_jobs.id FOR UPDATE OF _private_jobs SKIP LOCKED
