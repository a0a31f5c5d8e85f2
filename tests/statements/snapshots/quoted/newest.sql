select coalesce(pg_catalog.max(j.id), 0) as id from "we""ird: 50% Schema"._private_jobs j
