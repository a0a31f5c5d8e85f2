alter table __schema__._private_sqla_alembic_version enable row level security;
