select limits.name, limits.most, limits.used
from (
  select
    'server' as name,
    cast(pg_catalog.current_setting('max_connections') as integer)
      - cast(pg_catalog.current_setting('superuser_reserved_connections') as integer)
      - cast(coalesce(pg_catalog.current_setting('reserved_connections', true), '0') as integer) as most,
    (select cast(pg_catalog.sum(d.numbackends) as integer) from pg_catalog.pg_stat_database d) as used
  union all
  select
    'database', b.datconnlimit,
    (select d.numbackends from pg_catalog.pg_stat_database d where d.datname = b.datname)
  from pg_catalog.pg_database b
  where b.datname = pg_catalog.current_database()
  union all
  select
    'role', r.rolconnlimit,
    (
      select cast(pg_catalog.count(*) as integer)
      from pg_catalog.pg_stat_activity a
      where a.usesysid = r.oid
    )
  from pg_catalog.pg_roles r
  where r.rolname = session_user
) as limits
