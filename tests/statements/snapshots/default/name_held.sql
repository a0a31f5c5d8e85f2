-- $1 id
-- $2 pool_id
-- $3 ids
with dead as (
  select h.job_ids from "graphile_worker"._private_sqla_holds h where pg_catalog.pg_try_advisory_xact_lock_shared(h.id)
),
named as (
  insert into "graphile_worker"._private_sqla_holds (id, pool_id, job_ids, owned_until)
  values ($1::BIGINT, $2::pg_catalog.text, $3::BIGINT[], pg_catalog.now() + interval '10 seconds')
  returning id
)
select cast(array(
  select distinct d.id from dead cross join lateral pg_catalog.unnest(dead.job_ids) as d(id)
) as pg_catalog.text) as suspects
from named
