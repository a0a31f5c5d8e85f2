-- $1 place
-- $2 limit
select a.id, a.at, a.actor, a.action, a.detail, a.subject, a.jobs, a.left_out
from "we""ird: 50% Schema"._private_sqla_audit a
where a.id < coalesce($1::BIGINT, cast(9223372036854775807 as bigint))
order by a.id desc
limit $2::INTEGER
