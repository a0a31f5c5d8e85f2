-- $1 pool_id
-- $2 ids
-- $3 hold_id
with written as (
  update "we""ird: 50% Schema"._private_jobs j
  set attempts = j.attempts + 1, locked_at = pg_catalog.now(), locked_by = $1::pg_catalog.text
  where j.id = any ($2::BIGINT[])
  returning j.id, j.job_queue_id
),
locked_queues as (
  update "we""ird: 50% Schema"._private_job_queues q
  set locked_at = pg_catalog.now(), locked_by = $1::pg_catalog.text
  from written w
  where q.id = w.job_queue_id
),
unnamed as (
  delete from "we""ird: 50% Schema"._private_sqla_holds h where h.id = $3::BIGINT
)
select cast(pg_catalog.count(*) as integer) as written from written
