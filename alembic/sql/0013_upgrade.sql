-- Jobs that were forwarded, for tasks that keep them: in the order in which they were sent, each until its time.
-- No foreign keys: they would cost each job that is deleted a trigger.
create table __schema__._private_sqla_forwarded (
  id bigint generated always as identity,
  job_id bigint not null,
  task_identifier pg_catalog.text not null,
  queue_name pg_catalog.text,
  payload pg_catalog.json not null,
  priority smallint not null,
  run_at pg_catalog.timestamptz not null,
  max_attempts smallint not null,
  key pg_catalog.text,
  flags pg_catalog.jsonb,
  forwarded_at pg_catalog.timestamptz not null default pg_catalog.now(),
  keep_until pg_catalog.timestamptz not null,
  constraint _private_sqla_forwarded_pkey primary key (id)
);
create index sqla_forwarded_until_index on __schema__._private_sqla_forwarded (keep_until);
alter table __schema__._private_sqla_forwarded enable row level security;
