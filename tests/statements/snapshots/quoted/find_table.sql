select pg_catalog.to_regclass('"we""ird: 50% Schema"."_private_workers"') is not null as found
