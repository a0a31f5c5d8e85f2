-- $1 keep
-- $2 count
with unused as (
  select t.id
  from "we""ird: 50% Schema"._private_tasks t
  where not (t.identifier = any ($1::pg_catalog.text[]) or exists (
      select from "we""ird: 50% Schema"._private_sqla_workers w
      where pg_catalog.jsonb_typeof(w.metadata operator(pg_catalog.->) 'tasks') is distinct from 'array'
        or w.metadata operator(pg_catalog.->) 'tasks' operator(pg_catalog.?) t.identifier
    ))
    and not exists (select from "we""ird: 50% Schema"._private_jobs j where j.task_id = t.id)
  order by t.id
  limit $2::INTEGER
  for update skip locked
), removed as (
  delete from "we""ird: 50% Schema"._private_tasks t using unused u where t.id = u.id returning t.id, t.identifier as called
),
noted as (
  insert into "we""ird: 50% Schema"._private_sqla_removed (kind, id, name)
  select 'task', r.id, r.called from removed r
  on conflict (kind, id) do update set name = excluded.name, removed_at = pg_catalog.now()
)
select r.called from removed r order by r.id
