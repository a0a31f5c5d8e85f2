-- $1 job_ids
-- $2 run_at
-- $3 run_now
-- $4 attempts
-- $5 max_attempts
-- $6 priority
with named as (
  select
    coalesce(pg_catalog.array_agg(n.id) filter (where n.is_failed), '{}') as failed,
    coalesce(pg_catalog.array_agg(n.id) filter (where not n.is_failed), '{}') as others
  from (
    select j.id, j.attempts >= j.max_attempts as is_failed
    from "graphile_worker"._private_jobs j
    where j.id = any ($1::BIGINT[])
  ) n
)
select
  j.id,
  j.task_id,
  j.job_queue_id,
  cast(j.payload as pg_catalog.text) as payload_text,
  j.priority,
  least(greatest(j.run_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') as run_at,
  j.attempts,
  j.max_attempts,
  j.last_error,
  j.created_at,
  j.updated_at,
  j.key,
  case when j.locked_at is not null then least(greatest(j.locked_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') end as locked_at,
  j.locked_by,
  j.revision,
  j.flags,
  (select t.identifier from "graphile_worker"._private_tasks t where t.id = j.task_id) as task_identifier
from named
cross join lateral (
  select f.*
  from "graphile_worker".reschedule_jobs(
    named.failed,
    coalesce($2::TIMESTAMP WITH TIME ZONE, case when $3::BOOLEAN or coalesce($4::INTEGER, $5::INTEGER) is not null then pg_catalog.now() end),
    $6::INTEGER, $4::INTEGER, $5::INTEGER
  ) f
  union all
  select o.*
  from "graphile_worker".reschedule_jobs(
    named.others, coalesce($2::TIMESTAMP WITH TIME ZONE, case when $3::BOOLEAN then pg_catalog.now() end), $6::INTEGER, $4::INTEGER, $5::INTEGER
  ) o
) j
