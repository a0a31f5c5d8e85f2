-- $1 ids
-- $2 attempts
-- $3 keyed
-- $4 locked_ats
-- $5 queue_ids
-- $6 keys
-- $7 delays
-- $8 limits
-- $9 reasons
-- $10 payloads
-- $11 messages
-- $12 failed_delays
-- $13 now
-- $14 pool_id
with runs as (select * from rows from (pg_catalog.unnest($1::BIGINT[]), pg_catalog.unnest($2::SMALLINT[]), pg_catalog.unnest($3::BOOLEAN[]), pg_catalog.unnest($4::TIMESTAMP WITH TIME ZONE[]), pg_catalog.unnest($5::INTEGER[]), pg_catalog.unnest($6::pg_catalog.text[]), pg_catalog.unnest($7::DOUBLE PRECISION[]), pg_catalog.unnest($8::INTEGER[]), pg_catalog.unnest($9::pg_catalog.text[]), pg_catalog.unnest($10::pg_catalog.text[]), pg_catalog.unnest($11::pg_catalog.text[]), pg_catalog.unnest($12::DOUBLE PRECISION[])) as r (id, attempts, keyed, locked_at, queue_id, key, delay, most, reason, payload, message, failed_delay)),
written as (
  update "graphile_worker"._private_jobs j
  set attempts = case when r.snoozes <= r.most and j.attempts = r.attempts and j.key is not distinct from r.key then greatest(0, j.attempts - 1) else j.attempts end,
      last_error = case when r.snoozes <= r.most and j.attempts = r.attempts and j.key is not distinct from r.key then j.last_error else r.message end,
      run_at = greatest($13::TIMESTAMP WITH TIME ZONE, j.run_at) + case
        when r.snoozes <= r.most and j.attempts = r.attempts and j.key is not distinct from r.key then r.delay else coalesce(r.failed_delay, pg_catalog.exp(least(j.attempts, 10)))
      end * interval '1 second',
      payload = coalesce(cast(r.payload as pg_catalog.json), j.payload),
      locked_at = null, locked_by = null
  from (
    select r.*, 1 + coalesce(
      (select s.snoozes from "graphile_worker"._private_sqla_snoozes s where s.job_id = r.id), 0
    ) as snoozes
    from runs r
  ) r
  where j.id = r.id and j.locked_by = $14::pg_catalog.text and j.locked_at <= r.locked_at and (
    j.attempts = r.attempts or r.keyed and j.key is null and j.attempts = j.max_attempts
  )
  returning j.id, case when j.attempts < r.attempts then r.snoozes end as snoozes, r.reason, r.queue_id, r.locked_at
),
unlocked as (
  update "graphile_worker"._private_job_queues q
  set locked_at = null, locked_by = null
  from written r
  where q.id = r.queue_id and q.locked_by = $14::pg_catalog.text and q.locked_at <= r.locked_at
),
counted as (
  insert into "graphile_worker"._private_sqla_snoozes as s (job_id, snoozes, reason)
  select w.id, w.snoozes, w.reason
  from written w
  where w.snoozes is not null
  on conflict (job_id) do update
  set snoozes = excluded.snoozes, reason = excluded.reason, last_at = pg_catalog.now()
),
begun_anew as (
  delete from "graphile_worker"._private_sqla_snoozes s
  using written w
  where s.job_id = w.id and w.snoozes is null
)
select id, false as busy, snoozes from written
