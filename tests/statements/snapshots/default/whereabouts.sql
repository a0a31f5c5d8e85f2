-- $1 job_ids
select
  j.id,
  case when not (j.locked_at is null or j.locked_at < pg_catalog.now() - interval '4 hours') then j.locked_by end as locked_by,
  case when not (j.locked_at is null or j.locked_at < pg_catalog.now() - interval '4 hours') then j.locked_at end as locked_at
from "graphile_worker"._private_jobs j
where j.id = any ($1::BIGINT[])
