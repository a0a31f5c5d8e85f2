-- $1 ids
-- $2 attempts
-- $3 keyed
-- $4 pool_id
with named as (select * from unnest($1::BIGINT[], $2::SMALLINT[], $3::BOOLEAN[]) as r (id, attempts, keyed)),
unnamed as (
  select j.id
  from "graphile_worker"._private_jobs j
  where j.locked_by = $4::VARCHAR and not exists (select from named r where j.id = r.id and j.locked_by = $4::VARCHAR and (
    j.attempts = r.attempts or r.keyed and j.key is null and j.attempts = j.max_attempts
  ))
),
free_jobs as (
  select j.id
  from "graphile_worker"._private_jobs j
  where j.id in (select id from unnamed) and j.locked_by = $4::VARCHAR
  for no key update skip locked
),
written as (
  update "graphile_worker"._private_jobs j
  set attempts = case when (j.key is null and j.attempts >= j.max_attempts and j.updated_at <> j.created_at or exists (select from "graphile_worker"._private_job_retirements retired where retired.id = j.id)) then j.attempts else greatest(0, j.attempts - 1) end, locked_at = null, locked_by = null
  from free_jobs f
  where j.id = f.id
  returning j.id
)
select id, false as busy from written
union all
select id, true from unnamed where id not in (select id from free_jobs)
