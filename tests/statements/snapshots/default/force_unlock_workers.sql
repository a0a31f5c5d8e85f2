-- $1 worker_ids
select 1 as done from "graphile_worker".force_unlock_workers($1::pg_catalog.text[])
