-- Jobs that workers hold by row locks alone: a row for each open transaction that holds some, which deletes it.
-- Its id is the key of an advisory lock of that transaction: whoever gets it knows that the transaction has ended.
create table __schema__._private_sqla_holds (
  id bigint not null,
  pool_id pg_catalog.text not null,
  job_ids bigint[] not null,
  held_at pg_catalog.timestamptz not null default pg_catalog.now(),
  owned_until pg_catalog.timestamptz not null,
  constraint _private_sqla_holds_pkey primary key (id)
);
alter table __schema__._private_sqla_holds enable row level security;
