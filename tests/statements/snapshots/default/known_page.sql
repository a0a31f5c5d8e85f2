-- $1 place
-- $2 limit
select identifier,
  least(greatest(known_since, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00') as known_since,
  case when last_execution is not null
    then least(greatest(last_execution, pg_catalog.timestamptz '0001-01-02 00:00:00+00'), pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00')
  end as last_execution
from "graphile_worker"._private_known_crontabs
where identifier collate pg_catalog."C" > $1::pg_catalog.text
order by identifier collate pg_catalog."C" asc
limit $2::INTEGER
