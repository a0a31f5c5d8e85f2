-- The end of a downgrade: nothing of ours is left but the version table and perhaps the schema.
do $body$
begin
  -- Older versions of Alembic have dropped it already, in a script.
  if pg_catalog.to_regclass(pg_catalog.quote_ident(__schema_name__) || '._private_sqla_alembic_version') is not null then
    if exists (select from __schema__._private_sqla_alembic_version) then
      return;
    end if;
    drop table __schema__._private_sqla_alembic_version;
  end if;
  if
    pg_catalog.obj_description(pg_catalog.to_regnamespace(pg_catalog.quote_ident(__schema_name__)), 'pg_namespace')
      = 'Made by gw_sqla'
  then
    begin
      drop schema __schema__;
    exception when dependent_objects_still_exist then
      raise notice 'the schema stays: something else lives in it';
    end;
  end if;
end
$body$;
