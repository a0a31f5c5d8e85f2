-- $1 ids
-- $2 pool_id
select cast(array(select j.id from "we""ird: 50% Schema"._private_jobs j where j.id = any ($1::BIGINT[]) and j.locked_by = $2::pg_catalog.text) as pg_catalog.text) as held_ids
