-- $1 kept
-- $2 actor
-- $3 action
-- $4 detail
-- $5 subject
-- $6 jobs
-- $7 left_out
with old as (
  delete from "we""ird: 50% Schema"._private_sqla_audit a
  where a.id = any (array(select o.id from "we""ird: 50% Schema"._private_sqla_audit o order by o.id limit 1000))
    and a.at < pg_catalog.now() - $1::INTERVAL
)
insert into "we""ird: 50% Schema"._private_sqla_audit as a (actor, action, detail, subject, jobs, left_out)
values ($2::pg_catalog.text, $3::pg_catalog.text, $4::pg_catalog.text, $5::pg_catalog.text, $6::INTEGER, $7::INTEGER)
returning a.id
