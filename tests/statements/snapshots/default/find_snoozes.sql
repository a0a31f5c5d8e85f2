-- $1 id
select s.snoozes, greatest(least(s.last_at, pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00'), pg_catalog.timestamptz '0001-01-02 00:00:00+00') as last_at, s.reason
from "graphile_worker"._private_sqla_snoozes s
where s.job_id = $1::BIGINT
