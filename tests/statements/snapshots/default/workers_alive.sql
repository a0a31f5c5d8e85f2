select
  cast(pg_catalog.count(*) as integer) as workers,
  cast(coalesce(pg_catalog.sum(case
    when pg_catalog.jsonb_typeof(w.metadata operator(pg_catalog.->) 'concurrency') = 'number'
    then cast(w.metadata operator(pg_catalog.->>) 'concurrency' as integer)
  end), 0) as integer) as slots
from "graphile_worker"._private_sqla_workers w
where w.last_heartbeat_at + w.heartbeat_threshold >= pg_catalog.now()
