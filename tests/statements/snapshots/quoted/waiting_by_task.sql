-- $1 rows
-- $2 tasks
with recursive priorities as (
  (select j.priority from "we""ird: 50% Schema"._private_jobs j where j.is_available order by j.priority limit 1)
  union all
  select (
    select j.priority from "we""ird: 50% Schema"._private_jobs j
    where j.is_available and j.priority > p.priority
    order by j.priority
    limit 1
  )
  from priorities p
  where p.priority is not null
), lanes as (
  select l.priority, greatest($1::INTEGER / pg_catalog.count(*) over (), 1) as most
  from (select p.priority from priorities p where p.priority is not null limit 200) l
), counted as (
  select
    w.task_id,
    w.is_ready,
    w.is_retry,
    w.age,
    w.place = l.most as is_last
  from lanes l
  cross join lateral (
    select
      n.task_id,
      n.run_at <= pg_catalog.now() as is_ready,
      n.attempts > 0 as is_retry,
      case when n.run_at <= pg_catalog.now() then cast(extract(epoch from pg_catalog.now() - greatest(n.run_at, n.created_at)) as double precision) end as age,
      pg_catalog.row_number() over () as place
    from (
      select j.task_id, j.run_at, j.created_at, j.attempts
      from "we""ird: 50% Schema"._private_jobs j
      where j.is_available and j.priority = l.priority
      order by j.run_at
      limit l.most
    ) n
  ) w
)
select
  t.identifier,
  c.is_total,
  c.ready,
  c.retrying,
  c.scheduled,
  c.age,
  c.cut_ready,
  c.cut
from (
  select
    g.task_id,
    grouping(g.task_id) = 1 as is_total,
    cast(pg_catalog.count(*) filter (where g.is_ready) as int) as ready,
    cast(pg_catalog.count(*) filter (where not g.is_ready and g.is_retry) as int) as retrying,
    cast(pg_catalog.count(*) filter (where not g.is_ready and not g.is_retry) as int) as scheduled,
    pg_catalog.max(g.age) as age,
    coalesce(pg_catalog.bool_or(g.is_last and g.is_ready), false) as cut_ready,
    coalesce(pg_catalog.bool_or(g.is_last), false) as cut
  from counted g
  group by grouping sets ((g.task_id), ())
) c
left join "we""ird: 50% Schema"._private_tasks t on t.id = c.task_id
where c.is_total or (c.ready > 0 and t.identifier is not null)
order by c.is_total desc, c.age desc
limit $2::INTEGER + 1
