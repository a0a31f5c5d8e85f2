-- $1 id
-- $2 attempt
-- $3 keyed
-- $4 locked_at
-- $5 queue_id
-- $6 pool_id
select "graphile_worker".sqla_complete_job(
  cast($1::BIGINT as bigint), cast($2::SMALLINT as smallint), cast($3::BOOLEAN as boolean),
  cast($4::TIMESTAMP WITH TIME ZONE as timestamp with time zone), cast($5::INTEGER as integer), $6::pg_catalog.text
) as completed
