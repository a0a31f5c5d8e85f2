select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended('gw_sqla fleet figures of "graphile_worker"', 0)) as is_ours
