-- $1 ids
-- $2 attempts
-- $3 keyed
-- $4 locked_ats
-- $5 queue_ids
-- $6 messages
-- $7 delays
-- $8 final
-- $9 payloads
-- $10 pool_id
with runs as (select * from rows from (pg_catalog.unnest($1::BIGINT[]), pg_catalog.unnest($2::SMALLINT[]), pg_catalog.unnest($3::BOOLEAN[]), pg_catalog.unnest($4::TIMESTAMP WITH TIME ZONE[]), pg_catalog.unnest($5::INTEGER[]), pg_catalog.unnest($6::pg_catalog.text[]), pg_catalog.unnest($7::DOUBLE PRECISION[]), pg_catalog.unnest($8::BOOLEAN[]), pg_catalog.unnest($9::pg_catalog.text[])) as r (id, attempts, keyed, locked_at, queue_id, message, delay, final, payload)),
written as (
  update "graphile_worker"._private_jobs j
  set last_error = r.message,
      run_at = greatest(pg_catalog.now(), j.run_at)
        + coalesce(r.delay, pg_catalog.exp(least(j.attempts, 10))) * interval '1 second',
      attempts = case when r.final then greatest(j.attempts, j.max_attempts) else j.attempts end,
      payload = coalesce(cast(r.payload as pg_catalog.json), j.payload),
      locked_at = null, locked_by = null
  from runs r
  where j.id = r.id and j.locked_by = $10::pg_catalog.text and j.locked_at <= r.locked_at and (
    j.attempts = r.attempts or r.keyed and j.key is null and j.attempts = j.max_attempts
  )
  returning j.id, r.queue_id, r.locked_at
),
unlocked as (
  update "graphile_worker"._private_job_queues q
  set locked_at = null, locked_by = null
  from written r
  where q.id = r.queue_id and q.locked_by = $10::pg_catalog.text and q.locked_at <= r.locked_at
)
select id, false as busy from written
