-- add_jobs returns its rows in the order of its specs, keyed ones too. Where a peer made the schema, or has replaced the
-- function since, it is the peer's.
do $body$
begin
  if
    obj_description(to_regclass(quote_ident(__schema_name__) || '.migrations'), 'pg_class') = 'Made by gw_sqla'
    and not exists (select from __schema__.migrations where id > 19)
  then
    create or replace function __schema__.add_jobs(specs __schema__.job_spec[], job_key_preserve_run_at boolean default false)
    returns setof __schema__._private_jobs
    language plpgsql
    as $inner$
    declare
      todo __schema__.job_spec[] := specs;
      keyed bigint;
      keys bigint;
      taken text[];
      added __schema__._private_jobs[];
      jobs __schema__._private_jobs[];
    begin
      if coalesce(cardinality(specs), 0) = 0 then
        return;
      end if;

      select count(spec.job_key), count(distinct spec.job_key) into keyed, keys from unnest(specs) as spec;
      if keyed > keys then
        raise exception using
          errcode = 'cardinality_violation',
          message = 'add_jobs: the same job_key stands in more than one spec';
      end if;

      insert into __schema__._private_tasks (identifier)
      select distinct spec.identifier
      from unnest(specs) as spec
      where not exists (select from __schema__._private_tasks as known where known.identifier = spec.identifier)
      order by 1
      on conflict do nothing;

      insert into __schema__._private_job_queues (queue_name)
      select distinct spec.queue_name
      from unnest(specs) as spec
      where
        spec.queue_name is not null
        and not exists (select from __schema__._private_job_queues as known where known.queue_name = spec.queue_name)
      order by 1
      on conflict do nothing;

      -- r differs, or PostgreSQL would fold equal notifications of one transaction into one.
      perform pg_notify('jobs:insert', json_build_object('r', random(), 'count', cardinality(specs))::text);

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
          coalesce(spec.run_at, now()),
          coalesce(spec.max_attempts, 25),
          coalesce(spec.priority, 0),
          case when spec.flags is not null then (select jsonb_object_agg(flag, true) from unnest(spec.flags) as flag) end
        from unnest(specs) with ordinality
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
            coalesce(spec.run_at, now()),
            coalesce(spec.max_attempts, 25),
            spec.job_key,
            coalesce(spec.priority, 0),
            case when spec.flags is not null then (select jsonb_object_agg(flag, true) from unnest(spec.flags) as flag) end
          from unnest(todo) with ordinality
            as spec (identifier, payload, queue_name, run_at, max_attempts, job_key, priority, flags, position)
          left join __schema__._private_tasks as task on task.identifier = spec.identifier
          left join __schema__._private_job_queues as queue on queue.queue_name = spec.queue_name
          order by spec.job_key collate "C" nulls first, spec.position
          on conflict (key) do update set
            job_queue_id = excluded.job_queue_id,
            task_id = excluded.task_id,
            payload = case
              when json_typeof(job.payload) = 'array' and json_typeof(excluded.payload) = 'array'
              then (job.payload::jsonb || excluded.payload::jsonb)::json
              else excluded.payload
            end,
            run_at = case when job_key_preserve_run_at and job.attempts = 0 then job.run_at else excluded.run_at end,
            max_attempts = excluded.max_attempts,
            priority = excluded.priority,
            flags = excluded.flags,
            revision = job.revision + 1,
            attempts = 0,
            last_error = null,
            updated_at = now()
          where job.is_available
          returning job
        )
        select array_agg(inserted.job) into jobs from inserted;
        added := added || jobs;

        with cleared as (
          update __schema__._private_jobs as job
          set key = null, attempts = job.max_attempts, updated_at = now()
          from unnest(todo) as spec
          where job.key = spec.job_key and not job.is_available
          returning spec.job_key
        )
        select array_agg(cleared.job_key) into taken from cleared;
        exit when taken is null;

        select array_agg(spec) into todo from unnest(todo) as spec where spec.job_key in (select unnest(taken));
      end loop;

      -- In the order of the specs, by key or, without one, by number: those without are inserted in their order.
      return query
      select (found.job).*
      from (
        select
          job,
          coalesce('key ' || job.key, 'number ' || row_number() over (partition by job.key is null order by job.id)) as place
        from unnest(added) as job
      ) as found
      left join (
        select
          spec.position,
          coalesce(
            'key ' || spec.job_key, 'number ' || row_number() over (partition by spec.job_key is null order by spec.position)
          ) as place
        from unnest(specs) with ordinality
          as spec (identifier, payload, queue_name, run_at, max_attempts, job_key, priority, flags, position)
      ) as asked using (place)
      order by asked.position;
    end
    $inner$;
  end if;
end
$body$;

-- For handlers that complete their own job: in a transaction of any isolation level, and planned without a scan, for that
-- would read every job, which SERIALIZABLE takes for a conflict with whoever writes one.
create function __schema__.sqla_complete_job(job_id bigint, attempt smallint, keyed boolean, pool_id text)
returns boolean
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
as $body$
declare
  queue_id integer;
begin
  delete from __schema__._private_jobs as job
  where
    job.id = sqla_complete_job.job_id
    and job.locked_by = sqla_complete_job.pool_id
    and (
      job.attempts = sqla_complete_job.attempt
      or sqla_complete_job.keyed and job.key is null and job.attempts = job.max_attempts
    )
  returning job.job_queue_id into queue_id;
  if not found then
    return false;
  end if;
  if queue_id is not null then
    update __schema__._private_job_queues as queue
    set locked_at = null, locked_by = null
    where queue.id = queue_id and queue.locked_by = sqla_complete_job.pool_id;
  end if;
  return true;
end
$body$;
