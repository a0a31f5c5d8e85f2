-- $1 after
-- $2 age
-- $3 count
select j.id
from "we""ird: 50% Schema"._private_jobs j
where j.id > $1::BIGINT and j.locked_at is null and j.attempts >= j.max_attempts
  and greatest(j.run_at, j.updated_at) < pg_catalog.now() - $2::INTERVAL
order by j.id
limit $3::INTEGER
