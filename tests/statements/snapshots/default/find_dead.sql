select
  w.pool_id,
  cast(array(select j.id from "graphile_worker"._private_jobs j where j.locked_by = w.pool_id) as pg_catalog.text) as job_ids
from "graphile_worker"._private_sqla_workers w
where w.last_heartbeat_at + w.heartbeat_threshold < pg_catalog.now()
