-- $1 job_ids
-- $2 error_message
select
  j.id
from "graphile_worker".permanently_fail_jobs($1::BIGINT[], $2::pg_catalog.text) j
