-- $1 namespace
with tables as (
  select
    c.oid, c.relname,
    greatest(s.n_live_tup, cast(c.reltuples as bigint), 0) as live,
    s.n_dead_tup as dead,
    cast(pg_catalog.current_setting('autovacuum') as boolean)
      and not coalesce('autovacuum_enabled=false' = any (c.reloptions), false) as vacuumed
  from pg_catalog.pg_class c
  join pg_catalog.pg_stat_all_tables s on s.relid = c.oid
  where c.relnamespace = pg_catalog.to_regnamespace($1::pg_catalog.text)
    and c.relkind = 'r'
    and pg_catalog.starts_with(c.relname, '_private_')
)
select
  t.relname as name, false as is_index, pg_catalog.pg_relation_size(t.oid) as bytes, t.live, t.dead, t.vacuumed,
  cast(pg_catalog.current_setting('autovacuum_vacuum_threshold') as bigint)
    + cast(
      cast(pg_catalog.current_setting('autovacuum_vacuum_scale_factor') as double precision)
      * cast(t.live as double precision) as bigint
    ) as threshold
from tables t
union all
select c.relname, true, pg_catalog.pg_relation_size(c.oid), t.live, null, true, null
from tables t
join pg_catalog.pg_index i on i.indrelid = t.oid
join pg_catalog.pg_class c on c.oid = i.indexrelid
