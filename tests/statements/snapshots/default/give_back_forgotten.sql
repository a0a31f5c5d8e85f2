-- $1 pool_id
-- $2 ids
with finished as (
  update "graphile_worker"._private_jobs j
  set attempts = greatest(0, j.attempts - 1), locked_at = null, locked_by = null
  where j.locked_by = $1::VARCHAR and not (j.id = any ($2::BIGINT[]))
  returning j.id, j.job_queue_id
), unlocked as (
  update "graphile_worker"._private_job_queues q
  set locked_at = null, locked_by = null
  from finished f
  where q.id = f.job_queue_id and q.locked_by = $1::VARCHAR
)
select id from finished
