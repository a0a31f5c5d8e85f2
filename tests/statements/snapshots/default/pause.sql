-- $1 kind
-- $2 name
-- $3 paused_until
-- $4 reason
-- $5 paused_by
-- $6 schema_name
with over as (
  delete from "graphile_worker"._private_sqla_pauses p
  where p.paused_until <= pg_catalog.now() and not (p.kind = $1::pg_catalog.text and p.name = $2::pg_catalog.text)
), p as (
  insert into "graphile_worker"._private_sqla_pauses as p (kind, name, paused_until, reason, paused_by)
  values ($1::pg_catalog.text, $2::pg_catalog.text, $3::TIMESTAMP WITH TIME ZONE, $4::pg_catalog.text, $5::pg_catalog.text)
  on conflict (kind, name) do update
  set paused_at = pg_catalog.now(), paused_until = excluded.paused_until, reason = excluded.reason,
      paused_by = excluded.paused_by
  returning p.*
)
select
  p.kind, p.name, least(greatest(p.paused_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') as paused_at,
  case when p.paused_until < pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00' then greatest(p.paused_until, pg_catalog.timestamptz '0001-01-02 00:00:00+00') end as paused_until, p.reason, p.paused_by,
  pg_catalog.pg_notify('sqla:pauses', $6::pg_catalog.text) is not null as told
from p
