-- $1 hold_ids
-- $2 job_ids
-- $3 delay
with dead as materialized (
  select h.id, h.pool_id, h.held_at, h.job_ids
  from "we""ird: 50% Schema"._private_sqla_holds h
  where h.id = any ($1::BIGINT[]) and pg_catalog.pg_try_advisory_xact_lock(h.id)
  for update skip locked
),
named as (
  select d.id as hold_id, d.pool_id, d.held_at, n.id
  from dead d
  cross join lateral pg_catalog.unnest(d.job_ids) as n(id)
),
free_jobs as (
  select j.id, n.pool_id, n.held_at >= j.updated_at as is_as_held
  from named n
  cross join lateral (
    select j.id, j.updated_at
    from "we""ird: 50% Schema"._private_jobs j
    where j.id = n.id and j.locked_at is null and ($2::BIGINT[] is null or j.id = any ($2::BIGINT[]))
    for no key update skip locked
  ) j
),
deaths as (
  select f.id, pg_catalog.count(*) as deaths, pg_catalog.min(f.pool_id) as pool_id
  from free_jobs f
  where f.is_as_held
  group by f.id
),
jobs as (
  update "we""ird: 50% Schema"._private_jobs j
  set attempts = least(j.attempts + d.deaths, j.max_attempts),
      run_at = greatest(j.run_at, pg_catalog.now() + $3::INTERVAL),
      last_error = 'the worker died while it had this job: the connection of ' || d.pool_id || ' ended'
  from deaths d
  where j.id = d.id and j.attempts < j.max_attempts
  returning j.id, j.attempts >= j.max_attempts as is_final, d.pool_id
),
unsettled as (
  select n.hold_id, pg_catalog.array_agg(n.id) as ids
  from named n
  join "we""ird: 50% Schema"._private_jobs j on j.id = n.id
  where n.id not in (select f.id from free_jobs f)
  group by n.hold_id
),
kept as (
  update "we""ird: 50% Schema"._private_sqla_holds h
  set job_ids = u.ids
  from unsettled u
  where h.id = u.hold_id
),
unnamed as (
  delete from "we""ird: 50% Schema"._private_sqla_holds h
  using dead d
  where h.id = d.id and d.id not in (select u.hold_id from unsettled u)
)
select
  pool_id as what,
  cast(pg_catalog.array_agg(id order by id) as pg_catalog.text) as job_ids,
  cast(coalesce(
    pg_catalog.array_agg(id order by id) filter (where is_final), cast(array[] as bigint[])
  ) as pg_catalog.text) as final_ids
from jobs
group by pool_id
order by pool_id
