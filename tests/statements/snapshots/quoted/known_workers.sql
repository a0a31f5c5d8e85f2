-- $1 place
-- $2 ids
-- $3 limit
select
  w.pool_id, w.started_at, w.last_heartbeat_at, w.heartbeat_threshold,
  w.last_heartbeat_at + w.heartbeat_threshold >= pg_catalog.now() as is_alive,
  cast(w.metadata as pg_catalog.text) as metadata
from "we""ird: 50% Schema"._private_sqla_workers w
where w.pool_id > $1::pg_catalog.text and ($2::pg_catalog.text[] is null or w.pool_id = any ($2::pg_catalog.text[]))
order by w.pool_id asc
limit $3::INTEGER
