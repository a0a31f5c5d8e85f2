-- Stops this script, and so its transaction, where the schema is not one that can be adopted.
do $body$
declare
  newest integer;
  newest_breaking integer;
begin
  if not exists (
    select
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = __schema_name__ and c.relname = 'migrations'
  ) then
    raise exception using
      errcode = 'undefined_table',
      message = 'schema ' || pg_catalog.quote_ident(__schema_name__) || ' holds no Graphile Worker ledger',
      hint = 'Take the script that creates the schema.';
  end if;
  select pg_catalog.max(id), pg_catalog.max(id) filter (where breaking)
  into newest, newest_breaking
  from __schema__.migrations;
  if newest is null or newest < 18 then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = pg_catalog.format('the Graphile Worker schema is at revision %s, too old to adopt', coalesce(newest, 0)),
      hint = 'Upgrade it with graphile-worker 0.16 or later first.';
  end if;
  if newest_breaking > 19 then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = pg_catalog.format('the Graphile Worker schema holds breaking migration %s, unknown here', newest_breaking),
      hint = 'Upgrade gw_sqla.';
  end if;
end
$body$;
