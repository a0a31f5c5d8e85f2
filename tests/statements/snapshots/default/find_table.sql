select pg_catalog.to_regclass(pg_catalog.concat('"graphile_worker"', '."_private_workers"')) is not null as found
