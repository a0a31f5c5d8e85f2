-- $1 id
-- $2 attempt
-- $3 keyed
-- $4 locked_at
-- $5 queue_id
-- $6 pool_id
select "graphile_worker".sqla_complete_job($1::BIGINT, $2::SMALLINT, $3::BOOLEAN, $4::TIMESTAMP WITH TIME ZONE, $5::INTEGER, $6::pg_catalog.text) as completed
