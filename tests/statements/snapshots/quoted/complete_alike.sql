-- $1 ids
-- $2 pool_id
-- $3 attempt
-- $4 locked_at
with written as (
  delete from "we""ird: 50% Schema"._private_jobs j
  where j.id = any ($1::BIGINT[]) and j.locked_by = $2::pg_catalog.text and j.attempts = $3::SMALLINT and j.locked_at <= $4::TIMESTAMP WITH TIME ZONE
  returning j.id
)
select case
  when (select pg_catalog.count(*) from written) < pg_catalog.cardinality($1::BIGINT[])
  then cast(array(select id from written) as pg_catalog.text)
end as written_ids
