with held as (
  select
    a.pid, cast(null as pg_catalog.text) as gid, a.application_name as application, a.state,
    cast(extract(epoch from pg_catalog.clock_timestamp() - a.xact_start) as double precision) as seconds
  from pg_catalog.pg_stat_activity a
  where a.datname = pg_catalog.current_database()
    and a.backend_type = 'client backend'
    and a.xact_start is not null
    and a.pid <> pg_catalog.pg_backend_pid()
  union all
  select null, p.gid, null, 'prepared', cast(extract(epoch from pg_catalog.clock_timestamp() - p.prepared) as double precision)
  from pg_catalog.pg_prepared_xacts p
  where p.database = pg_catalog.current_database()
)
select h.pid, h.gid, h.application, h.state, h.seconds, s.hidden
from (
  select cast(pg_catalog.count(*) as integer) as hidden
  from pg_catalog.pg_stat_activity a
  where a.datname = pg_catalog.current_database() and a.backend_type is null
) as s
left join (select * from held order by seconds desc limit 1) as h on true
