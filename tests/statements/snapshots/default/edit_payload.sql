-- $1 payload
-- $2 job_ids
update "graphile_worker"._private_jobs j
set payload = cast($1::pg_catalog.text as pg_catalog.json), revision = j.revision + 1, updated_at = pg_catalog.now()
where j.id = any ($2::BIGINT[]) and (j.locked_at is null or j.locked_at < pg_catalog.now() - interval '4 hours')
returning j.id
