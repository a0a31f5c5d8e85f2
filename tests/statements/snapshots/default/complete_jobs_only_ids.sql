-- $1 job_ids
select
  j.id
from "graphile_worker".complete_jobs($1::BIGINT[]) j
