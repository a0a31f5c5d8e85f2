-- $1 ids
-- $2 attempts
-- $3 keyed
-- $4 keys
-- $5 pool_id
with runs as (select * from unnest($1::BIGINT[], $2::SMALLINT[], $3::BOOLEAN[]) as r (id, attempts, keyed)),
written as (
  update "graphile_worker"._private_jobs j
  set attempts = case when j.attempts = r.attempts and j.key is not distinct from c.key then greatest(0, j.attempts - 1) else j.attempts end, locked_at = null, locked_by = null
  from runs r
  join unnest($1::BIGINT[], $4::TEXT[]) as c (id, key) on c.id = r.id
  where j.id = r.id and j.locked_by = $5::VARCHAR and (
    j.attempts = r.attempts or r.keyed and j.key is null and j.attempts = j.max_attempts
  )
  returning j.id, j.job_queue_id
),
unlocked as (
  update "graphile_worker"._private_job_queues q
  set locked_at = null, locked_by = null
  from written f
  where q.id = f.job_queue_id and q.locked_by = $5::VARCHAR
)
select id, false as busy from written
