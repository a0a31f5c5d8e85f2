select coalesce(pg_catalog.max(j.id), 0) as id from "graphile_worker"._private_jobs j
