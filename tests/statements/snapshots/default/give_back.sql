-- $1 ids
-- $2 pool_id
with finished as (
  update "graphile_worker"._private_jobs j
  set attempts = greatest(0, j.attempts - 1), locked_at = null, locked_by = null
  where j.id = any ($1::BIGINT[]) and j.locked_by = $2::VARCHAR
  returning j.id, j.job_queue_id
), unlocked as (
  update "graphile_worker"._private_job_queues q
  set locked_at = null, locked_by = null
  from finished f
  where q.id = f.job_queue_id and q.locked_by = $2::VARCHAR
)
select id from finished
