select pg_catalog.max(v.version_num) as version from "graphile_worker"._private_sqla_alembic_version v
