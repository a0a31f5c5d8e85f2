-- The same for the functions that administrators call.
do $body$
begin
  if
    pg_catalog.obj_description(
      pg_catalog.to_regclass(pg_catalog.quote_ident(__schema_name__) || '.migrations'), 'pg_class'
    ) = 'Made by gw_sqla'
    and not exists (select from __schema__.migrations where id > 19)
  then
    create or replace function __schema__.remove_job(job_key pg_catalog.text)
    returns __schema__._private_jobs
    language plpgsql
    strict
    as $inner$
    declare
      found_job __schema__._private_jobs;
    begin
      -- The lock comes before the decision. It may have waited for a transaction that gave the key to
      -- another row, which a second look finds.
      loop
        select job.* into found_job from __schema__._private_jobs as job where job.key = remove_job.job_key for update;
        exit when found or not exists (select from __schema__._private_jobs as job where job.key = remove_job.job_key);
      end loop;

      if found_job.id is null then
        return null;
      end if;

      if found_job.locked_at is null or found_job.locked_at < pg_catalog.now() - interval '4 hours' then
        delete from __schema__._private_jobs as job where job.id = found_job.id;
        perform pg_catalog.pg_notify(
          'jobs:insert',
          pg_catalog.json_build_object('r', pg_catalog.random(), 'count', -1)::pg_catalog.text
        );
      else
        update __schema__._private_jobs as job
        set key = null, attempts = job.max_attempts, updated_at = pg_catalog.now()
        where job.id = found_job.id
        returning job.* into strict found_job;
      end if;
      return found_job;
    end
    $inner$;

    create or replace function __schema__.complete_jobs(job_ids bigint[])
    returns setof __schema__._private_jobs
    language sql
    as $inner$
      delete from __schema__._private_jobs as job
      where
        job.id = any(complete_jobs.job_ids)
        and (job.locked_at is null or job.locked_at < pg_catalog.now() - interval '4 hours')
      returning job.*;
    $inner$;

    create or replace function __schema__.permanently_fail_jobs(
      job_ids bigint[], error_message pg_catalog.text default null
    )
    returns setof __schema__._private_jobs
    language sql
    as $inner$
      update __schema__._private_jobs as job
      set
        last_error = coalesce(permanently_fail_jobs.error_message, 'Manually marked as failed'),
        attempts = job.max_attempts,
        updated_at = pg_catalog.now()
      where
        job.id = any(permanently_fail_jobs.job_ids)
        and (job.locked_at is null or job.locked_at < pg_catalog.now() - interval '4 hours')
      returning job.*;
    $inner$;

    create or replace function __schema__.reschedule_jobs(
      job_ids bigint[],
      run_at pg_catalog.timestamptz default null,
      priority integer default null,
      attempts integer default null,
      max_attempts integer default null
    )
    returns setof __schema__._private_jobs
    language sql
    as $inner$
      update __schema__._private_jobs as job
      set
        run_at = coalesce(reschedule_jobs.run_at, job.run_at),
        priority = coalesce(reschedule_jobs.priority::smallint, job.priority),
        attempts = coalesce(reschedule_jobs.attempts::smallint, job.attempts),
        max_attempts = coalesce(reschedule_jobs.max_attempts::smallint, job.max_attempts),
        updated_at = pg_catalog.now()
      where
        job.id = any(reschedule_jobs.job_ids)
        and (job.locked_at is null or job.locked_at < pg_catalog.now() - interval '4 hours')
      returning job.*;
    $inner$;

    create or replace function __schema__.force_unlock_workers(worker_ids pg_catalog.text[])
    returns pg_catalog.void
    language sql
    as $inner$
      update __schema__._private_jobs as job
      set locked_at = null, locked_by = null
      where job.locked_by = any(force_unlock_workers.worker_ids);

      update __schema__._private_job_queues as queue
      set locked_at = null, locked_by = null
      where queue.locked_by = any(force_unlock_workers.worker_ids);
    $inner$;
  end if;
end
$body$;
