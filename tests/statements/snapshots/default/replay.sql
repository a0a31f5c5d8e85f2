-- $1 after
-- $2 last
-- $3 task
-- $4 queue_name
-- $5 since
-- $6 until
-- $7 job_ids
-- $8 payload
-- $9 count
with chosen as (
  select f.*
  from "graphile_worker"._private_sqla_forwarded f
  where f.id > $1::BIGINT and f.id <= $2::BIGINT
  and f.task_identifier = $3::pg_catalog.text
  and ($4::pg_catalog.text is null or f.queue_name = $4::pg_catalog.text)
  and ($5::TIMESTAMP WITH TIME ZONE is null or f.forwarded_at >= $5::TIMESTAMP WITH TIME ZONE)
  and ($6::TIMESTAMP WITH TIME ZONE is null or f.forwarded_at < $6::TIMESTAMP WITH TIME ZONE)
  and ($7::BIGINT[] is null or f.job_id = any ($7::BIGINT[]))
  and case
    when $8::pg_catalog.text is null then true
    when pg_catalog.strpos(cast(f.payload as pg_catalog.text),  E'\\u0000') > 0 then false
    when cast(f.payload as pg_catalog.text) ~  E'\\\\u[dD][89a-fA-F]' and pg_catalog.regexp_replace(cast(f.payload as pg_catalog.text),  E'\\\\u[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2}', '', 'g') ~  E'\\\\u[dD][89a-fA-F]' then false
    else cast(f.payload as pg_catalog.jsonb) operator(pg_catalog.@>) cast($8::pg_catalog.text as pg_catalog.jsonb)
  end
  order by f.id
  limit $9::INTEGER
), added as (
  select pg_catalog.count(*) as jobs
  from "graphile_worker".add_jobs(array(
    select cast(row(
      c.task_identifier, c.payload, c.queue_name, null, c.max_attempts, null, c.priority,
      case when c.flags is not null then array(select pg_catalog.jsonb_object_keys(c.flags)) end
    ) as "graphile_worker".job_spec)
    from chosen c
    order by c.id
  ))
)
select a.jobs, (select pg_catalog.max(c.id) from chosen c) as last
from added a
