-- $1 job_ids
select
  j.id,
  case when not (j.locked_at is null or j.locked_at < pg_catalog.now() - interval '4 hours') then j.locked_by end as locked_by,
  case when not (j.locked_at is null or j.locked_at < pg_catalog.now() - interval '4 hours') then case when j.locked_at is not null then least(greatest(j.locked_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') end end as locked_at
from "we""ird: 50% Schema"._private_jobs j
where j.id = any ($1::BIGINT[])
