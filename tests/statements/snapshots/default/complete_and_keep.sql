-- $1 ids
-- $2 attempts
-- $3 keyed
-- $4 locked_ats
-- $5 queue_ids
-- $6 tasks
-- $7 queue_names
-- $8 seconds
-- $9 places
-- $10 pool_id
with runs as (select * from rows from (pg_catalog.unnest($1::BIGINT[]), pg_catalog.unnest($2::SMALLINT[]), pg_catalog.unnest($3::BOOLEAN[]), pg_catalog.unnest($4::TIMESTAMP WITH TIME ZONE[]), pg_catalog.unnest($5::INTEGER[]), pg_catalog.unnest($6::pg_catalog.text[]), pg_catalog.unnest($7::pg_catalog.text[]), pg_catalog.unnest($8::DOUBLE PRECISION[]), pg_catalog.unnest($9::INTEGER[])) as r (id, attempts, keyed, locked_at, queue_id, task, queue_name, seconds, place)),
written as (
  delete from "graphile_worker"._private_jobs j using runs r where j.id = r.id and j.locked_by = $10::pg_catalog.text and j.locked_at <= r.locked_at and (
    j.attempts = r.attempts or r.keyed and j.key is null and j.attempts = j.max_attempts
  )
  returning j.id, j.payload, j.priority, j.run_at, j.max_attempts, j.key, j.flags, r.task, r.queue_name, r.seconds, r.place, r.queue_id, r.locked_at
),
unlocked as (
  update "graphile_worker"._private_job_queues q
  set locked_at = null, locked_by = null
  from written r
  where q.id = r.queue_id and q.locked_by = $10::pg_catalog.text and q.locked_at <= r.locked_at
),
kept as (
  insert into "graphile_worker"._private_sqla_forwarded (
    job_id, task_identifier, queue_name, payload, priority, run_at, max_attempts, key, flags, keep_until
  )
  select
    w.id, w.task, w.queue_name, w.payload, w.priority, w.run_at, w.max_attempts, w.key, w.flags,
    pg_catalog.now() + w.seconds * interval '1 second'
  from written w
  order by w.place
)
select id, false as busy from written
