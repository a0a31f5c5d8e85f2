select l.id, false as is_queue, l.locked_by as owner
from "we""ird: 50% Schema"._private_jobs l
where l.locked_at < pg_catalog.now() - interval '4 hours'
  and not exists (select from "we""ird: 50% Schema"._private_sqla_workers w where w.pool_id = l.locked_by)
union all
select cast(l.id as bigint), true, l.locked_by
from "we""ird: 50% Schema"._private_job_queues l
where l.locked_at < pg_catalog.now() - interval '4 hours'
  and not exists (select from "we""ird: 50% Schema"._private_sqla_workers w where w.pool_id = l.locked_by)
