select
  w.pool_id, pg_catalog.format(
    '%s (process %s on %s) sent no heartbeat for %s s',
    w.pool_id, w.metadata operator(pg_catalog.->>) 'pid', w.metadata operator(pg_catalog.->>) 'host',
    cast(extract(epoch from w.heartbeat_threshold) as real)
  ) as what,
  cast(array(
    select j.id from "we""ird: 50% Schema"._private_jobs j where j.locked_by = w.pool_id order by j.id
  ) as pg_catalog.text) as job_ids,
  cast(array(
    select j.id from "we""ird: 50% Schema"._private_jobs j
    where j.locked_by = w.pool_id and j.attempts >= j.max_attempts order by j.id
  ) as pg_catalog.text) as final_ids
from "we""ird: 50% Schema"._private_sqla_workers w
where w.last_heartbeat_at + w.heartbeat_threshold < pg_catalog.now()
order by w.pool_id
