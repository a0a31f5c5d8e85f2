-- $1 limit
select m.id, least(greatest(m.ts, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') as ts, m.breaking
from "graphile_worker".migrations m order by m.id desc limit $1::INTEGER
