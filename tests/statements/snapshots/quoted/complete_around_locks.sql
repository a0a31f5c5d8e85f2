-- $1 ids
-- $2 attempts
-- $3 keyed
-- $4 pool_id
with named as (select * from unnest($1::BIGINT[], $2::SMALLINT[], $3::BOOLEAN[]) as r (id, attempts, keyed)),
free_jobs as (
  select r.*, j.job_queue_id
  from named r
  join "we""ird: 50% Schema"._private_jobs j on j.id = r.id and j.locked_by = $4::VARCHAR and (
    j.attempts = r.attempts or r.keyed and j.key is null and j.attempts = j.max_attempts
  )
  for update of j skip locked
),
free_queues as (
  select q.id
  from free_jobs f
  join "we""ird: 50% Schema"._private_job_queues q on q.id = f.job_queue_id and q.locked_by = $4::VARCHAR
  for no key update of q skip locked
),
runs as (
  select f.*
  from free_jobs f
  where f.job_queue_id is null or f.job_queue_id in (select id from free_queues) or not exists (select from "we""ird: 50% Schema"._private_job_queues q where q.id = f.job_queue_id and q.locked_by = $4::VARCHAR)
),
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
union all
select r.id, true
from named r
join "we""ird: 50% Schema"._private_jobs j on j.id = r.id and j.locked_by = $4::VARCHAR and (
    j.attempts = r.attempts or r.keyed and j.key is null and j.attempts = j.max_attempts
  )
where r.id not in (select id from runs)
