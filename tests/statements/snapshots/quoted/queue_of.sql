-- $1 id
select
  q.queue_name, q.locked_by, case when q.locked_at is not null then least(greatest(q.locked_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') end as locked_at
from "we""ird: 50% Schema"._private_job_queues q
where q.id = $1::INTEGER
