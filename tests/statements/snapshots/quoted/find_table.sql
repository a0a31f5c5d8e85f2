select pg_catalog.to_regclass(pg_catalog.concat('"we""ird: 50% Schema"', '."_private_workers"')) is not null as found
