"""The worker schema: what is there, whether a worker can use it, and the revisions that make it.

The way of a migration: `migrate` (`migrations`) hands `revision_runner.upgrade` to `in_turn` (`migration_lock`), which
calls it in a transaction. It takes the lock, looks (`state`), refuses what cannot be migrated (`check`), and has
Alembic run the revisions that lead on (`revision_scripts`), each of which runs files of SQL (`sql_files`). Alembic's
command line comes in by `alembic_environment`, a user's own Alembic by `gw_sqla.operations`, and ``migrate --sql`` by
`offline_sql`.
"""
