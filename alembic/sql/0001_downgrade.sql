-- Drops the schema's objects where we made them. What a peer made, or has migrated since, is the
-- peer's to drop. Waits for running transactions that use the jobs.
do $body$
begin
  if
    obj_description(to_regclass(quote_ident(__schema_name__) || '.migrations'), 'pg_class')
      is distinct from 'Made by gw_sqla'
    or exists (select from __schema__.migrations where id > 19)
  then
    return;
  end if;

  lock table __schema__._private_jobs in access exclusive mode;
  if exists (select from __schema__._private_jobs) then
    raise exception using
      errcode = 'object_in_use',
      message = 'schema ' || quote_ident(__schema_name__) || ' still holds jobs: run or delete them before a downgrade';
  end if;

  drop function __schema__.add_job(text, json, text, timestamptz, integer, text, integer, text[], text);
  drop function __schema__.add_jobs(__schema__.job_spec[], boolean);
  drop function __schema__.remove_job(text);
  drop function __schema__.complete_jobs(bigint[]);
  drop function __schema__.permanently_fail_jobs(bigint[], text);
  drop function __schema__.reschedule_jobs(bigint[], timestamptz, integer, integer, integer);
  drop function __schema__.force_unlock_workers(text[]);
  drop type __schema__.job_spec;
  drop view __schema__.jobs;
  drop table
    __schema__._private_jobs,
    __schema__._private_job_queues,
    __schema__._private_tasks,
    __schema__._private_known_crontabs,
    __schema__.migrations;
end
$body$;
