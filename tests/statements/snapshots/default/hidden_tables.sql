-- $1 namespace
-- $2 tables
select c.relname as name
from pg_catalog.pg_class c
where c.relnamespace = pg_catalog.to_regnamespace($1::pg_catalog.text)
  and c.relname = any ($2::pg_catalog.text[])
  and pg_catalog.has_table_privilege(c.oid, 'SELECT')
  and pg_catalog.row_security_active(c.oid)
  and not exists (
    select from pg_catalog.pg_policy p, pg_catalog.unnest(p.polroles) as named
    where p.polrelid = c.oid and p.polpermissive
      and (named = cast(0 as pg_catalog.oid) or pg_catalog.pg_has_role(named, 'USAGE'))
  )
order by c.relname
