-- And for ours alone, whoever made the schema.
create or replace function __schema__.sqla_complete_job(
  job_id bigint,
  attempt smallint,
  keyed boolean,
  claimed_at pg_catalog.timestamptz,
  queue_id integer,
  pool_id pg_catalog.text
)
returns boolean
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
as $body$
begin
  delete from __schema__._private_jobs as job
  where
    job.id = sqla_complete_job.job_id
    and job.locked_by = sqla_complete_job.pool_id
    and job.locked_at <= sqla_complete_job.claimed_at
    and (
      job.attempts = sqla_complete_job.attempt
      or sqla_complete_job.keyed and job.key is null and job.attempts = job.max_attempts
    );
  if not found then
    return false;
  end if;
  if sqla_complete_job.queue_id is not null then
    update __schema__._private_job_queues as queue
    set locked_at = null, locked_by = null
    where
      queue.id = sqla_complete_job.queue_id
      and queue.locked_by = sqla_complete_job.pool_id
      and queue.locked_at <= sqla_complete_job.claimed_at;
  end if;
  return true;
end
$body$;
