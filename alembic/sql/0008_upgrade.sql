-- How often jobs that wait still were snoozed. No foreign key: it would cost each job that is deleted a trigger.
create table __schema__._private_sqla_snoozes (
  job_id bigint not null,
  snoozes integer not null,
  first_at pg_catalog.timestamptz not null default pg_catalog.now(),
  last_at pg_catalog.timestamptz not null default pg_catalog.now(),
  reason pg_catalog.text,
  constraint _private_sqla_snoozes_pkey primary key (job_id)
);
alter table __schema__._private_sqla_snoozes enable row level security;
