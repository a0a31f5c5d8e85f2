-- What workers of gw_sqla are to leave alone for a while: everything, a task, a queue. Node and Rust do not know it.
create table __schema__._private_sqla_pauses (
  kind pg_catalog.text not null,
  name pg_catalog.text not null default '',
  paused_at pg_catalog.timestamptz not null default pg_catalog.now(),
  paused_until pg_catalog.timestamptz,
  reason pg_catalog.text,
  paused_by pg_catalog.text,
  constraint _private_sqla_pauses_pkey primary key (kind, name),
  constraint _private_sqla_pauses_kind_check check (kind in ('everything', 'task', 'queue'))
);
alter table __schema__._private_sqla_pauses enable row level security;
