-- $1 now
-- $2 identifiers
with added as (
  insert into "graphile_worker"._private_known_crontabs (identifier, known_since)
  select i, $1::TIMESTAMP WITH TIME ZONE from pg_catalog.unnest($2::pg_catalog.text[]) as i
  where not exists (select from "graphile_worker"._private_known_crontabs k where k.identifier = i)
  order by i
  on conflict (identifier) do nothing
)
select identifier, least(greatest(coalesce(last_execution, known_since), pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') as since
from "graphile_worker"._private_known_crontabs
where identifier = any ($2::pg_catalog.text[])
