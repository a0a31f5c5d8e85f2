-- $1 job_ids
-- $2 error_message
select
  j.id
from "we""ird: 50% Schema".permanently_fail_jobs($1::BIGINT[], $2::pg_catalog.text) j
