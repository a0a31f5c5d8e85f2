select pg_catalog.now() as now
