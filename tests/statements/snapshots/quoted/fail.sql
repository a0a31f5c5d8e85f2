-- $1 ids
-- $2 attempts
-- $3 keyed
-- $4 messages
-- $5 delays
-- $6 final
-- $7 payloads
-- $8 pool_id
with runs as (select * from unnest($1::BIGINT[], $2::SMALLINT[], $3::BOOLEAN[]) as r (id, attempts, keyed)),
written as (
  update "we""ird: 50% Schema"._private_jobs j
  set last_error = f.message,
      run_at = greatest(now(), j.run_at)
        + coalesce(f.delay, exp(least(j.attempts, 10))) * interval '1 second',
      attempts = case when f.final then greatest(j.attempts, j.max_attempts) else j.attempts end,
      payload = coalesce(cast(f.payload as json), j.payload),
      locked_at = null,
      locked_by = null
  from runs r
  join unnest($1::BIGINT[], $4::TEXT[], $5::DOUBLE PRECISION[], $6::BOOLEAN[], $7::TEXT[]) as f (id, message, delay, final, payload) on f.id = r.id
  where j.id = r.id and j.locked_by = $8::VARCHAR and (
    j.attempts = r.attempts or r.keyed and j.key is null and j.attempts = j.max_attempts
  )
  returning j.id, j.job_queue_id
),
unlocked as (
  update "we""ird: 50% Schema"._private_job_queues q
  set locked_at = null, locked_by = null
  from written f
  where q.id = f.job_queue_id and q.locked_by = $8::VARCHAR
)
select id, false as busy from written
