-- $1 tasks
with wanted as (
  select distinct pg_catalog.unnest($1::pg_catalog.text[]) as forwarded
), counted as (
  select
    j.task_id,
    pg_catalog.count(*) filter (where j.locked_at is not null or j.attempts < j.max_attempts) as waiting,
    pg_catalog.count(*) filter (where j.locked_at is null and j.attempts >= j.max_attempts) as failed,
    pg_catalog.min(j.run_at) filter (where j.locked_at is not null or j.attempts < j.max_attempts) as oldest
  from "we""ird: 50% Schema"._private_jobs j
  where (j.run_at <= pg_catalog.now() or j.attempts >= j.max_attempts)
    and j.task_id in (
      select t.id from "we""ird: 50% Schema"._private_tasks t join wanted w on w.forwarded = t.identifier
    )
  group by j.task_id
)
select
  w.forwarded as task, coalesce(c.waiting, 0) as waiting, coalesce(c.failed, 0) as failed,
  cast(extract(epoch from pg_catalog.now() - c.oldest) as double precision) as seconds
from wanted w
left join "we""ird: 50% Schema"._private_tasks t on t.identifier = w.forwarded
left join counted c on c.task_id = t.id
order by w.forwarded
