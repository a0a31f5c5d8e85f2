-- $1 id
-- $2 attempt
-- $3 keyed
-- $4 pool_id
select "we""ird: 50% Schema".sqla_complete_job($1::BIGINT, $2::SMALLINT, $3::BOOLEAN, $4::VARCHAR) as completed
