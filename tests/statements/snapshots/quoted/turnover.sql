-- $1 name
select s.n_tup_ins as inserted, s.n_tup_del as deleted
from pg_catalog.pg_stat_all_tables s
where s.schemaname = cast($1::pg_catalog.text as pg_catalog.name) and s.relname = '_private_jobs'
