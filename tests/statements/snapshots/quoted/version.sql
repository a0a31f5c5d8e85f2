select pg_catalog.max(v.version_num) as version from "we""ird: 50% Schema"._private_sqla_alembic_version v
