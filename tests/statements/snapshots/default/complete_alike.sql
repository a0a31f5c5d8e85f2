-- $1 ids
-- $2 pool_id
-- $3 attempt
with written as (
  delete from "graphile_worker"._private_jobs j
  where j.id = any ($1::BIGINT[]) and j.locked_by = $2::VARCHAR and j.attempts = $3::SMALLINT
  returning j.id, j.job_queue_id
),
unlocked as (
  update "graphile_worker"._private_job_queues q
  set locked_at = null, locked_by = null
  from written f
  where q.id = f.job_queue_id and q.locked_by = $2::VARCHAR
)
select id, false as busy from written
