-- $1 ids
-- $2 attempts
-- $3 keyed
-- $4 pool_id
with runs as (select * from unnest($1::BIGINT[], $2::SMALLINT[], $3::BOOLEAN[]) as r (id, attempts, keyed)),
written as (
  delete from "we""ird: 50% Schema"._private_jobs j using runs r where j.id = r.id and j.locked_by = $4::VARCHAR and (
    j.attempts = r.attempts or r.keyed and j.key is null and j.attempts = j.max_attempts
  )
  returning j.id, j.job_queue_id
),
unlocked as (
  update "we""ird: 50% Schema"._private_job_queues q
  set locked_at = null, locked_by = null
  from written f
  where q.id = f.job_queue_id and q.locked_by = $4::VARCHAR
)
select id, false as busy from written
