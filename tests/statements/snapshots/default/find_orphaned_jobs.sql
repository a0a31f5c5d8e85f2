-- $1 pool_id
-- $2 ids
-- $3 locked_ats
select j.id
from "graphile_worker"._private_jobs j
where j.locked_by = $1::pg_catalog.text and not exists (
  select
  from rows from (pg_catalog.unnest($2::BIGINT[]), pg_catalog.unnest($3::TIMESTAMP WITH TIME ZONE[])) as r (id, locked_at)
  where r.id = j.id and j.locked_at <= r.locked_at
)
