-- $1 rust_table
select
  w.pool_id,
  array(select j.id from "we""ird: 50% Schema"._private_jobs j where j.locked_by = w.pool_id) as job_ids,
  pg_catalog.to_regclass($1::pg_catalog.text) is not null as beside_rust
from "we""ird: 50% Schema"._private_sqla_workers w
where w.last_heartbeat_at + w.heartbeat_threshold < pg_catalog.now()
