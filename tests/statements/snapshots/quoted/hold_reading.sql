select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended('gw_sqla fleet figures of "we""ird: 50% Schema"', 0)) as is_ours
