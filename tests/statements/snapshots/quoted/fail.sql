-- $1 ids
-- $2 messages
-- $3 delays
-- $4 final
-- $5 payloads
-- $6 pool_id
with finished as (
  update "we""ird: 50% Schema"._private_jobs j
  set last_error = f.message,
      run_at = greatest(now(), j.run_at)
        + coalesce(f.delay, exp(least(j.attempts, 10))) * interval '1 second',
      attempts = case when f.final then greatest(j.attempts, j.max_attempts) else j.attempts end,
      payload = coalesce(cast(f.payload as json), j.payload),
      locked_at = null,
      locked_by = null
  from unnest($1::BIGINT[], $2::TEXT[], $3::DOUBLE PRECISION[], $4::BOOLEAN[], $5::TEXT[]) as f (id, message, delay, final, payload)
  where j.id = f.id and j.locked_by = $6::VARCHAR
  returning j.id, j.job_queue_id
), unlocked as (
  update "we""ird: 50% Schema"._private_job_queues q
  set locked_at = null, locked_by = null
  from finished f
  where q.id = f.job_queue_id and q.locked_by = $6::VARCHAR
)
select id from finished
