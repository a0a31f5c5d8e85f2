-- $1 job_ids
select
  j.id
from "we""ird: 50% Schema".complete_jobs($1::BIGINT[]) j
