-- The worker schema, unless it is there: a role that may not create schemas can use one that was
-- made for it. The comment remembers that the schema is ours to drop.
do $body$
begin
  if not exists (select from pg_catalog.pg_namespace where nspname = __schema_name__) then
    create schema __schema__;
    comment on schema __schema__ is 'Made by gw_sqla';
  end if;
end
$body$;
