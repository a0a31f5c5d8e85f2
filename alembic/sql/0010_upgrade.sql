-- For cleanup: when it ran last, of all workers; and which tasks and queues it has removed in the last day, with their
-- ids, for jobs that a transaction was adding to one of them just then.
create table __schema__._private_sqla_upkeep (
  work pg_catalog.text not null,
  last_at pg_catalog.timestamptz not null,
  constraint _private_sqla_upkeep_pkey primary key (work)
);
alter table __schema__._private_sqla_upkeep enable row level security;
create table __schema__._private_sqla_removed (
  kind pg_catalog.text not null,
  id integer not null,
  name pg_catalog.text not null,
  removed_at pg_catalog.timestamptz not null default pg_catalog.now(),
  constraint _private_sqla_removed_pkey primary key (kind, id),
  constraint _private_sqla_removed_kind_check check (kind in ('task', 'queue'))
);
alter table __schema__._private_sqla_removed enable row level security;
