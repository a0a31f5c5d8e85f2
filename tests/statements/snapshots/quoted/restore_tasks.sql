with lost as (
  select r.id, r.name
  from "we""ird: 50% Schema"._private_sqla_removed r
  where r.kind = 'task'
    and not exists (select from "we""ird: 50% Schema"._private_tasks there where there.id = r.id)
    and exists (select from "we""ird: 50% Schema"._private_jobs j where j.task_id = r.id)
), back as (
  insert into "we""ird: 50% Schema"._private_tasks (id, identifier) overriding system value
  select l.id, l.name
  from lost l
  where not exists (select from "we""ird: 50% Schema"._private_tasks there where there.identifier = l.name)
  on conflict do nothing
  returning id
), moved as (
  update "we""ird: 50% Schema"._private_jobs j
  set task_id = there.id
  from lost l
  join "we""ird: 50% Schema"._private_tasks there on there.identifier = l.name
  where j.task_id = l.id
  returning j.id
)
select l.name from lost l order by l.id
