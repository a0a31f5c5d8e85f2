-- $1 place
-- $2 limit
select t.id, t.identifier from "we""ird: 50% Schema"._private_tasks t
where t.identifier > $1::pg_catalog.text order by t.identifier asc limit $2::INTEGER
