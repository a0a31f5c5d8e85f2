-- Adds a job for each spec. Decisions:
-- * Only names that are missing are inserted: an insert that ends in a conflict uses up an identity
--   value, and these are integers. The first transaction to use a new name makes others that use
--   the same name wait until it ends: the unique index leaves no smaller window.
-- * A keyed insert locks the row that has the key, even where it may not replace it, or reserves
--   the key. One statement does that for all keys in the order of the keys, so two calls cannot
--   deadlock however their specs are ordered. (To lock existing rows first and insert after it
--   would not do: a row can appear between the two steps.)
-- * A key that a running or exhausted job held is taken from it and its spec goes round again.
--   The row is locked by then, so the second round is the last.
create function __schema__.add_jobs(specs __schema__.job_spec[], job_key_preserve_run_at boolean default false)
returns setof __schema__._private_jobs
language plpgsql
as $body$
declare
  todo __schema__.job_spec[] := specs;
  keyed bigint;
  keys bigint;
  taken text[];
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

  loop
    return query
    insert into __schema__._private_jobs as job
      (job_queue_id, task_id, payload, run_at, max_attempts, key, priority, flags)
    select
      queue.id,
      -- Null where a peer's garbage collection took a name since: fail rather than lose job or lane.
      case when spec.queue_name is null or queue.id is not null then task.id end,
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
    returning job.*;

    exit when keyed = 0;
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
end
$body$;

-- Adds one job and returns its row, never an empty one.
create function __schema__.add_job(
  identifier text,
  payload json default null,
  queue_name text default null,
  run_at timestamptz default null,
  max_attempts integer default null,
  job_key text default null,
  priority integer default null,
  flags text[] default null,
  job_key_mode text default 'replace'
)
returns __schema__._private_jobs
language plpgsql
as $body$
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
      message = 'unknown job_key_mode ' || quote_literal(add_job.job_key_mode),
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
    coalesce(add_job.run_at, now()),
    coalesce(add_job.max_attempts, 25)::smallint,
    add_job.job_key,
    coalesce(add_job.priority, 0)::smallint,
    (select jsonb_object_agg(flag, true) from unnest(add_job.flags) as flag)
  from (values (add_job.identifier, add_job.queue_name)) as spec (identifier, queue_name)
  left join __schema__._private_tasks as task on task.identifier = spec.identifier
  left join __schema__._private_job_queues as queue on queue.queue_name = spec.queue_name
  on conflict (key) do update set revision = job.revision + 1, updated_at = now()
  returning job.* into strict added;

  if added.revision = 0 then
    perform pg_notify('jobs:insert', json_build_object('r', random(), 'count', 1)::text);
  end if;
  return added;
end
$body$;

-- Removes the job that has the key, or, where it is running, sees to it that it is not tried again.
create function __schema__.remove_job(job_key text)
returns __schema__._private_jobs
language plpgsql
strict
as $body$
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

  if found_job.locked_at is null or found_job.locked_at < now() - interval '4 hours' then
    delete from __schema__._private_jobs as job where job.id = found_job.id;
    perform pg_notify('jobs:insert', json_build_object('r', random(), 'count', -1)::text);
  else
    update __schema__._private_jobs as job
    set key = null, attempts = job.max_attempts, updated_at = now()
    where job.id = found_job.id
    returning job.* into strict found_job;
  end if;
  return found_job;
end
$body$;

-- Deletes jobs as if they had run. Like the next two it leaves alone what a worker holds.
create function __schema__.complete_jobs(job_ids bigint[])
returns setof __schema__._private_jobs
language sql
as $body$
  delete from __schema__._private_jobs as job
  where
    job.id = any(complete_jobs.job_ids)
    and (job.locked_at is null or job.locked_at < now() - interval '4 hours')
  returning job.*;
$body$;

-- Ends jobs without another attempt; their rows stay.
create function __schema__.permanently_fail_jobs(job_ids bigint[], error_message text default null)
returns setof __schema__._private_jobs
language sql
as $body$
  update __schema__._private_jobs as job
  set
    last_error = coalesce(permanently_fail_jobs.error_message, 'Manually marked as failed'),
    attempts = job.max_attempts,
    updated_at = now()
  where
    job.id = any(permanently_fail_jobs.job_ids)
    and (job.locked_at is null or job.locked_at < now() - interval '4 hours')
  returning job.*;
$body$;

-- Changes when, how urgently and how often jobs run; null keeps what is there.
create function __schema__.reschedule_jobs(
  job_ids bigint[],
  run_at timestamptz default null,
  priority integer default null,
  attempts integer default null,
  max_attempts integer default null
)
returns setof __schema__._private_jobs
language sql
as $body$
  update __schema__._private_jobs as job
  set
    run_at = coalesce(reschedule_jobs.run_at, job.run_at),
    priority = coalesce(reschedule_jobs.priority::smallint, job.priority),
    attempts = coalesce(reschedule_jobs.attempts::smallint, job.attempts),
    max_attempts = coalesce(reschedule_jobs.max_attempts::smallint, job.max_attempts),
    updated_at = now()
  where
    job.id = any(reschedule_jobs.job_ids)
    and (job.locked_at is null or job.locked_at < now() - interval '4 hours')
  returning job.*;
$body$;

-- Takes the locks from workers that are known to be dead.
create function __schema__.force_unlock_workers(worker_ids text[])
returns void
language sql
as $body$
  update __schema__._private_jobs as job
  set locked_at = null, locked_by = null
  where job.locked_by = any(force_unlock_workers.worker_ids);

  update __schema__._private_job_queues as queue
  set locked_at = null, locked_by = null
  where queue.locked_by = any(force_unlock_workers.worker_ids);
$body$;
