-- $1 worker_ids
select 1 as done from "we""ird: 50% Schema".force_unlock_workers($1::pg_catalog.text[])
