-- The ledger first: an insert into it is what serialises the installers of all peers.
create table if not exists __schema__.migrations (
  id integer constraint migrations_pkey primary key,
  ts timestamptz not null default now(),
  breaking boolean not null default false
);

insert into __schema__.migrations (id, breaking)
select id, id in (1, 3, 11, 13, 14, 16, 19)
from generate_series(1, 19) as ids (id);

comment on table __schema__.migrations is 'Made by gw_sqla';

create table __schema__._private_tasks (
  id integer generated always as identity (sequence name __schema__.tasks_id_seq) constraint tasks_pkey primary key,
  identifier text not null
    constraint tasks_identifier_key unique
    constraint tasks_identifier_check check (length(identifier) <= 128)
);

create table __schema__._private_job_queues (
  id integer generated always as identity (sequence name __schema__.job_queues_id_seq)
    constraint job_queues_pkey1 primary key,
  queue_name text not null
    constraint job_queues_queue_name_key unique
    constraint job_queues_queue_name_check check (length(queue_name) <= 128),
  locked_at timestamptz,
  locked_by text,
  is_available boolean not null generated always as (locked_at is null) stored
);

-- No foreign keys: adding a job would lock the rows of its task and its queue.
create table __schema__._private_jobs (
  id bigint generated always as identity (sequence name __schema__.jobs_id_seq1) constraint jobs_pkey1 primary key,
  job_queue_id integer,
  task_id integer not null,
  payload json not null default '{}',
  priority smallint not null default 0,
  run_at timestamptz not null default now(),
  attempts smallint not null default 0,
  max_attempts smallint not null default 25 constraint jobs_max_attempts_check check (max_attempts >= 1),
  last_error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  key text
    constraint jobs_key_key1 unique
    constraint jobs_key_check check (length(key) > 0 and length(key) <= 512),
  locked_at timestamptz,
  locked_by text,
  revision integer not null default 0,
  flags jsonb,
  is_available boolean not null generated always as (locked_at is null and attempts < max_attempts) stored
);

create index jobs_main_index on __schema__._private_jobs (priority, run_at)
include (id, task_id, job_queue_id)
where is_available = true;

create index jobs_no_queue_index on __schema__._private_jobs (priority, run_at)
include (id, task_id)
where is_available = true and job_queue_id is null;

create table __schema__._private_known_crontabs (
  identifier text constraint known_crontabs_pkey primary key,
  known_since timestamptz not null,
  last_execution timestamptz
);

-- Without a policy only the owner, superusers and roles with BYPASSRLS see rows.
alter table __schema__._private_tasks enable row level security;

alter table __schema__._private_job_queues enable row level security;

alter table __schema__._private_jobs enable row level security;

alter table __schema__._private_known_crontabs enable row level security;

-- A job whose task is gone stays in sight, with a null task_identifier.
create view __schema__.jobs as
select
  job.id,
  queue.queue_name,
  task.identifier as task_identifier,
  job.priority,
  job.run_at,
  job.attempts,
  job.max_attempts,
  job.last_error,
  job.created_at,
  job.updated_at,
  job.key,
  job.locked_at,
  job.locked_by,
  job.revision,
  job.flags
from __schema__._private_jobs as job
left join __schema__._private_tasks as task on task.id = job.task_id
left join __schema__._private_job_queues as queue on queue.id = job.job_queue_id;

create type __schema__.job_spec as (
  identifier text,
  payload json,
  queue_name text,
  run_at timestamptz,
  max_attempts smallint,
  job_key text,
  priority smallint,
  flags text[]
);
