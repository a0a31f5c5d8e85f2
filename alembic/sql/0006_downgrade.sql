drop function __schema__.sqla_complete_job(bigint, smallint, boolean, timestamptz, integer, text);

create function __schema__.sqla_complete_job(job_id bigint, attempt smallint, keyed boolean, pool_id text)
returns boolean
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
as $body$
declare
  queue_id integer;
begin
  delete from __schema__._private_jobs as job
  where
    job.id = sqla_complete_job.job_id
    and job.locked_by = sqla_complete_job.pool_id
    and (
      job.attempts = sqla_complete_job.attempt
      or sqla_complete_job.keyed and job.key is null and job.attempts = job.max_attempts
    )
  returning job.job_queue_id into queue_id;
  if not found then
    return false;
  end if;
  if queue_id is not null then
    update __schema__._private_job_queues as queue
    set locked_at = null, locked_by = null
    where queue.id = queue_id and queue.locked_by = sqla_complete_job.pool_id;
  end if;
  return true;
end
$body$;
