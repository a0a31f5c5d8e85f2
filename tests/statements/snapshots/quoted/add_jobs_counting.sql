-- $1 specs
-- $2 job_key_preserve_run_at
select count(*) as added, array_agg(j.key) filter (where j.key is not null) as keys
from "we""ird: 50% Schema".add_jobs(coalesce((select array_agg(s) from json_populate_recordset(cast(null as "we""ird: 50% Schema".job_spec), cast($1::VARCHAR as json)) s), '{}'), $2::BOOLEAN) j
