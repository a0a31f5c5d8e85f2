SELECT "we""ird: 50% Schema"._private_jobs.priority, "we""ird: 50% Schema"._private_jobs.run_at, "we""ird: 50% Schema"._private_jobs.id
FROM "we""ird: 50% Schema"._private_jobs
