select l.id, false as is_queue, l.locked_by as owner
from "we""ird: 50% Schema"._private_jobs l
where l.locked_at < pg_catalog.now() - interval '4 hours'
  and not exists (select from "we""ird: 50% Schema"._private_sqla_workers w where w.pool_id = l.locked_by)
  and not exists (
    select from "we""ird: 50% Schema"._private_workers w
    where w.id = l.locked_by and w.last_heartbeat_at > pg_catalog.now() - interval '15 minutes'
  )
union all
select cast(l.id as bigint), true, l.locked_by
from "we""ird: 50% Schema"._private_job_queues l
where l.locked_at < pg_catalog.now() - interval '4 hours'
  and not exists (select from "we""ird: 50% Schema"._private_sqla_workers w where w.pool_id = l.locked_by)
  and not exists (
    select from "we""ird: 50% Schema"._private_workers w
    where w.id = l.locked_by and w.last_heartbeat_at > pg_catalog.now() - interval '15 minutes'
  )
