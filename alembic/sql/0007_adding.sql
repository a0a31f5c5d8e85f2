-- The functions that add jobs, with PostgreSQL's functions and types named by pg_catalog: they run with the search path
-- and the temporary types of their caller, who may be another than the one whose rights they have. (A path of their own
-- would cost each call, and be that of other people's triggers too.) Else as before, and 0001_functions.sql says why.
-- Where a peer made the schema, or has replaced the functions since, they are the peer's.
do $body$
begin
  if
    pg_catalog.obj_description(
      pg_catalog.to_regclass(pg_catalog.quote_ident(__schema_name__) || '.migrations'), 'pg_class'
    ) = 'Made by gw_sqla'
    and not exists (select from __schema__.migrations where id > 19)
  then
    create or replace function __schema__.add_jobs(
      specs __schema__.job_spec[], job_key_preserve_run_at boolean default false
    )
    returns setof __schema__._private_jobs
    language plpgsql
    as $inner$
    declare
      todo __schema__.job_spec[] := specs;
      keyed bigint;
      keys bigint;
      taken pg_catalog.text[];
      added __schema__._private_jobs[];
      jobs __schema__._private_jobs[];
    begin
      if coalesce(pg_catalog.cardinality(specs), 0) = 0 then
        return;
      end if;

      select pg_catalog.count(spec.job_key), pg_catalog.count(distinct spec.job_key)
      into keyed, keys
      from pg_catalog.unnest(specs) as spec;
      if keyed > keys then
        raise exception using
          errcode = 'cardinality_violation',
          message = 'add_jobs: the same job_key stands in more than one spec';
      end if;

      insert into __schema__._private_tasks (identifier)
      select distinct spec.identifier
      from pg_catalog.unnest(specs) as spec
      where not exists (select from __schema__._private_tasks as known where known.identifier = spec.identifier)
      order by 1
      on conflict do nothing;

      insert into __schema__._private_job_queues (queue_name)
      select distinct spec.queue_name
      from pg_catalog.unnest(specs) as spec
      where
        spec.queue_name is not null
        and not exists (select from __schema__._private_job_queues as known where known.queue_name = spec.queue_name)
      order by 1
      on conflict do nothing;

      -- r differs, or PostgreSQL would fold equal notifications of one transaction into one.
      perform pg_catalog.pg_notify(
        'jobs:insert',
        pg_catalog.json_build_object(
          'r', pg_catalog.random(), 'count', pg_catalog.cardinality(specs)
        )::pg_catalog.text
      );

      -- Without keys nothing is replaced, and rows come as they are inserted.
      if keyed = 0 then
        return query
        insert into __schema__._private_jobs as job
          (job_queue_id, task_id, payload, run_at, max_attempts, priority, flags)
        select
          queue.id,
          -- Null where a peer's garbage collection took a name since: fail rather than lose job or lane.
          case when spec.queue_name is null or queue.id is not null then task.id end,
          coalesce(spec.payload, '{}'),
          coalesce(spec.run_at, pg_catalog.now()),
          coalesce(spec.max_attempts, 25),
          coalesce(spec.priority, 0),
          case
            when spec.flags is not null
            then (select pg_catalog.jsonb_object_agg(flag, true) from pg_catalog.unnest(spec.flags) as flag)
          end
        from pg_catalog.unnest(specs) with ordinality
          as spec (identifier, payload, queue_name, run_at, max_attempts, job_key, priority, flags, position)
        left join __schema__._private_tasks as task on task.identifier = spec.identifier
        left join __schema__._private_job_queues as queue on queue.queue_name = spec.queue_name
        order by spec.position
        returning job.*;
        return;
      end if;

      loop
        with inserted as (
          insert into __schema__._private_jobs as job
            (job_queue_id, task_id, payload, run_at, max_attempts, key, priority, flags)
          select
            queue.id,
            case when spec.queue_name is null or queue.id is not null then task.id end, -- as above
            coalesce(spec.payload, '{}'),
            coalesce(spec.run_at, pg_catalog.now()),
            coalesce(spec.max_attempts, 25),
            spec.job_key,
            coalesce(spec.priority, 0),
            case
              when spec.flags is not null
              then (select pg_catalog.jsonb_object_agg(flag, true) from pg_catalog.unnest(spec.flags) as flag)
            end
          from pg_catalog.unnest(todo) with ordinality
            as spec (identifier, payload, queue_name, run_at, max_attempts, job_key, priority, flags, position)
          left join __schema__._private_tasks as task on task.identifier = spec.identifier
          left join __schema__._private_job_queues as queue on queue.queue_name = spec.queue_name
          order by spec.job_key collate pg_catalog."C" nulls first, spec.position
          on conflict (key) do update set
            job_queue_id = excluded.job_queue_id,
            task_id = excluded.task_id,
            payload = case
              when pg_catalog.json_typeof(job.payload) = 'array' and pg_catalog.json_typeof(excluded.payload) = 'array'
              then (job.payload::pg_catalog.jsonb || excluded.payload::pg_catalog.jsonb)::pg_catalog.json
              else excluded.payload
            end,
            run_at = case when job_key_preserve_run_at and job.attempts = 0 then job.run_at else excluded.run_at end,
            max_attempts = excluded.max_attempts,
            priority = excluded.priority,
            flags = excluded.flags,
            revision = job.revision + 1,
            attempts = 0,
            last_error = null,
            updated_at = pg_catalog.now()
          where job.is_available
          returning job
        )
        select pg_catalog.array_agg(inserted.job) into jobs from inserted;
        added := pg_catalog.array_cat(added, jobs);

        with cleared as (
          update __schema__._private_jobs as job
          set key = null, attempts = job.max_attempts, updated_at = pg_catalog.now()
          from pg_catalog.unnest(todo) as spec
          where job.key = spec.job_key and not job.is_available
          returning spec.job_key
        )
        select pg_catalog.array_agg(cleared.job_key) into taken from cleared;
        exit when taken is null;

        select pg_catalog.array_agg(spec)
        into todo
        from pg_catalog.unnest(todo) as spec
        where spec.job_key in (select pg_catalog.unnest(taken));
      end loop;

      -- In the order of the specs, by key or, without one, by number: those without are inserted in their order.
      return query
      select (found.job).*
      from (
        select
          job,
          coalesce(
            'key ' || job.key,
            'number ' || cast(
              pg_catalog.row_number() over (partition by job.key is null order by job.id) as pg_catalog.text
            )
          ) as place
        from pg_catalog.unnest(added) as job
      ) as found
      left join (
        select
          spec.position,
          coalesce(
            'key ' || spec.job_key,
            'number ' || cast(
              pg_catalog.row_number() over (partition by spec.job_key is null order by spec.position) as pg_catalog.text
            )
          ) as place
        from pg_catalog.unnest(specs) with ordinality
          as spec (identifier, payload, queue_name, run_at, max_attempts, job_key, priority, flags, position)
      ) as asked using (place)
      order by asked.position;
    end
    $inner$;

    create or replace function __schema__.add_job(
      identifier pg_catalog.text,
      payload pg_catalog.json default null,
      queue_name pg_catalog.text default null,
      run_at pg_catalog.timestamptz default null,
      max_attempts integer default null,
      job_key pg_catalog.text default null,
      priority integer default null,
      flags pg_catalog.text[] default null,
      job_key_mode pg_catalog.text default 'replace'
    )
    returns __schema__._private_jobs
    language plpgsql
    as $inner$
    declare
      added __schema__._private_jobs;
    begin
      if
        add_job.job_key is null
        or add_job.job_key_mode is null
        or add_job.job_key_mode in ('replace', 'preserve_run_at')
      then
        select *
        into strict added
        from __schema__.add_jobs(
          array[
            row(
              add_job.identifier,
              add_job.payload,
              add_job.queue_name,
              add_job.run_at,
              add_job.max_attempts::smallint,
              add_job.job_key,
              add_job.priority::smallint,
              add_job.flags
            )::__schema__.job_spec
          ],
          coalesce(add_job.job_key_mode = 'preserve_run_at', false)
        );
        return added;
      end if;

      if add_job.job_key_mode <> 'unsafe_dedupe' then
        raise exception using
          errcode = 'GWBKM',
          message = 'unknown job_key_mode ' || pg_catalog.quote_literal(add_job.job_key_mode),
          hint = 'It is one of replace, preserve_run_at, unsafe_dedupe.';
      end if;

      insert into __schema__._private_tasks (identifier)
      select add_job.identifier
      where not exists (select from __schema__._private_tasks as known where known.identifier = add_job.identifier)
      on conflict do nothing;

      insert into __schema__._private_job_queues (queue_name)
      select add_job.queue_name
      where
        add_job.queue_name is not null
        and not exists (select from __schema__._private_job_queues as known where known.queue_name = add_job.queue_name)
      on conflict do nothing;

      insert into __schema__._private_jobs as job
        (job_queue_id, task_id, payload, run_at, max_attempts, key, priority, flags)
      select
        queue.id,
        case when add_job.queue_name is null or queue.id is not null then task.id end, -- as in add_jobs
        coalesce(add_job.payload, '{}'),
        coalesce(add_job.run_at, pg_catalog.now()),
        coalesce(add_job.max_attempts, 25)::smallint,
        add_job.job_key,
        coalesce(add_job.priority, 0)::smallint,
        (select pg_catalog.jsonb_object_agg(flag, true) from pg_catalog.unnest(add_job.flags) as flag)
      from (values (add_job.identifier, add_job.queue_name)) as spec (identifier, queue_name)
      left join __schema__._private_tasks as task on task.identifier = spec.identifier
      left join __schema__._private_job_queues as queue on queue.queue_name = spec.queue_name
      on conflict (key) do update set revision = job.revision + 1, updated_at = pg_catalog.now()
      returning job.* into strict added;

      if added.revision = 0 then
        perform pg_catalog.pg_notify(
          'jobs:insert',
          pg_catalog.json_build_object('r', pg_catalog.random(), 'count', 1)::pg_catalog.text
        );
      end if;
      return added;
    end
    $inner$;
  end if;
end
$body$;
