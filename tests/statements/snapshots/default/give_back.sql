-- $1 ids
-- $2 attempts
-- $3 keyed
-- $4 locked_ats
-- $5 queue_ids
-- $6 keys
-- $7 pool_id
with runs as (select * from rows from (pg_catalog.unnest($1::BIGINT[]), pg_catalog.unnest($2::SMALLINT[]), pg_catalog.unnest($3::BOOLEAN[]), pg_catalog.unnest($4::TIMESTAMP WITH TIME ZONE[]), pg_catalog.unnest($5::INTEGER[]), pg_catalog.unnest($6::pg_catalog.text[])) as r (id, attempts, keyed, locked_at, queue_id, key)),
written as (
  update "graphile_worker"._private_jobs j
  set attempts = case when j.attempts = r.attempts and j.key is not distinct from r.key then greatest(0, j.attempts - 1) else j.attempts end, locked_at = null, locked_by = null
  from runs r
  where j.id = r.id and j.locked_by = $7::pg_catalog.text and j.locked_at <= r.locked_at and (
    j.attempts = r.attempts or r.keyed and j.key is null and j.attempts = j.max_attempts
  )
  returning j.id, r.queue_id, r.locked_at
),
unlocked as (
  update "graphile_worker"._private_job_queues q
  set locked_at = null, locked_by = null
  from written r
  where q.id = r.queue_id and q.locked_by = $7::pg_catalog.text and q.locked_at <= r.locked_at
)
select id, false as busy from written
