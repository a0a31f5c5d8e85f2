-- $1 identifier
-- $2 payload
-- $3 queue_name
-- $4 run_at
-- $5 max_attempts
-- $6 job_key
-- $7 priority
-- $8 flags
-- $9 job_key_mode
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
  (select t.identifier from "we""ird: 50% Schema"._private_tasks t where t.id = j.task_id) as task_identifier
from "we""ird: 50% Schema".add_job($1::pg_catalog.text, cast($2::pg_catalog.text as pg_catalog.json), $3::pg_catalog.text, $4::TIMESTAMP WITH TIME ZONE, $5::INTEGER, $6::pg_catalog.text, $7::INTEGER, $8::pg_catalog.text[], $9::pg_catalog.text) j
