select pg_catalog.to_regclass('"graphile_worker"."_private_workers"') is not null as found
