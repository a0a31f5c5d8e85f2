-- A peer made this schema. From 18 to 19 the ledger gets its marker, and running workers hear of it.
with marker as (
  insert into __schema__.migrations (id, breaking)
  select 19, true
  where not exists (select from __schema__.migrations as known where known.id >= 19)
  returning id, breaking
)
select pg_notify('worker:migrate', json_build_object('migrationNumber', id, 'breaking', breaking)::text)
from marker;
