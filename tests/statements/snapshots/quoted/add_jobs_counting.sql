-- $1 specs
-- $2 job_key_preserve_run_at
select pg_catalog.count(*) as added, pg_catalog.array_agg(j.key) filter (where j.key is not null) as keys
from "we""ird: 50% Schema".add_jobs(coalesce((select pg_catalog.array_agg(s) from pg_catalog.json_populate_recordset(cast(null as "we""ird: 50% Schema".job_spec), cast($1::pg_catalog.text as pg_catalog.json)) s), '{}'), $2::BOOLEAN) j
