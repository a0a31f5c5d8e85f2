-- Stops this script, and so its transaction, where a Graphile Worker schema is already there.
do $body$
begin
  if exists (
    select
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = __schema_name__ and c.relname = 'migrations'
  ) then
    raise exception using
      errcode = 'duplicate_table',
      message = 'schema ' || pg_catalog.quote_ident(__schema_name__) || ' already holds a Graphile Worker ledger',
      hint = 'For a schema made by Graphile Worker take the script for adoption; for one made by gw_sqla, "migrate".';
  end if;
end
$body$;
