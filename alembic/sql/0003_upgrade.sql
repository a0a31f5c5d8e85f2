-- The worker pools that are alive. One whose last heartbeat is older than its own threshold is dead.
create table __schema__._private_sqla_workers (
  pool_id text not null,
  started_at timestamptz not null default now(),
  last_heartbeat_at timestamptz not null default now(),
  heartbeat_threshold interval not null,
  metadata jsonb not null default '{}',
  constraint _private_sqla_workers_pkey primary key (pool_id)
);
alter table __schema__._private_sqla_workers enable row level security;
