-- For people who look at the queue: jobs that have failed for good, and the turns of jobs in queues.
-- Writes to the jobs wait while they are built.
create index sqla_jobs_failed_index on __schema__._private_jobs (id)
where locked_at is null and attempts >= max_attempts;
create index sqla_jobs_turn_index on __schema__._private_jobs (priority, run_at, id)
where is_available and job_queue_id is not null;

-- Who did what to jobs: written where an actor is named.
create table __schema__._private_sqla_audit (
  id bigint generated always as identity,
  at pg_catalog.timestamptz not null default pg_catalog.now(),
  actor pg_catalog.text not null,
  action pg_catalog.text not null,
  detail pg_catalog.text,
  subject pg_catalog.text not null,
  jobs integer not null,
  left_out integer not null,
  constraint _private_sqla_audit_pkey primary key (id)
);
alter table __schema__._private_sqla_audit enable row level security;
