select
  p.kind, p.name, least(greatest(p.paused_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') as paused_at,
  case when p.paused_until < pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00' then greatest(p.paused_until, pg_catalog.timestamptz '0001-01-02 00:00:00+00') end as paused_until, p.reason, p.paused_by,
  cast(extract(epoch from least(p.paused_until, pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') - pg_catalog.now()) as double precision) as seconds_left
from "graphile_worker"._private_sqla_pauses p
where p.paused_until is null or p.paused_until > pg_catalog.now()
order by p.kind, p.name
