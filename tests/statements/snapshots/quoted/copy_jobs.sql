-- $1 job_ids
select j.id, copy.id as copy_id
from "we""ird: 50% Schema"._private_jobs j
join "we""ird: 50% Schema"._private_tasks t on t.id = j.task_id
left join "we""ird: 50% Schema"._private_job_queues q on q.id = j.job_queue_id
cross join lateral (
  select case pg_catalog.jsonb_typeof(j.flags)
    when 'object' then array(select pg_catalog.jsonb_object_keys(j.flags))
    when 'array' then array(
      select e.one operator(pg_catalog.#>>) '{}'
      from pg_catalog.jsonb_array_elements(j.flags) as e(one)
      where pg_catalog.jsonb_typeof(e.one) = 'string'
    )
    when 'string' then array[j.flags operator(pg_catalog.#>>) '{}']
  end as flags
) f
cross join lateral "we""ird: 50% Schema".add_job(
  t.identifier, j.payload, q.queue_name, pg_catalog.now(), j.max_attempts, null, j.priority, f.flags
) copy
where j.id = any ($1::BIGINT[])
