"""Runs our Alembic revisions over one connection, in the transaction that it is in.

A migration is one transaction. It first takes an advisory lock, so that gw_sqla's migrators queue up, and looks at
the schema only then. Peers do not know that lock: with them the ledger decides, see `gw_sqla.schema.migration_lock`.

Revisions get a function that runs an SQL file, and nothing else: neither Alembic's global ``op``, which two
migrations in one process would fight over, nor anything of gw_sqla that may change after a release.
"""

from __future__ import annotations

import logging
from functools import partial

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext

from gw_sqla.errors import ConfigurationError, SchemaError
from gw_sqla.schema import migration_path
from gw_sqla.schema.check import require_access, require_supported
from gw_sqla.schema.migration_lock import PeerAtWorkError, lock_sql
from gw_sqla.schema.migration_report import Action, MigrationReport
from gw_sqla.schema.revision_scripts import downgrade_steps, options, require_known, upgrade_steps
from gw_sqla.schema.rights import MIGRATOR
from gw_sqla.schema.sql_files import statements
from gw_sqla.schema.state import SchemaState, read_state
from gw_sqla.schema.supported_revisions import HEAD

__all__ = ["downgrade", "run_online", "upgrade"]

log = logging.getLogger(__name__)

_NEWEST = frozenset({"head", "heads", HEAD})


def upgrade(connection: sa.Connection, *, schema: str, revision: str) -> MigrationReport:
    """Upgrade in the caller's transaction; create or adopt the schema where it is not ours yet.

    A schema that a newer gw_sqla migrated is left alone, whatever the revision.
    """
    require_known(revision)
    opts = {**options(schema), "fn": upgrade_steps(revision), "destination_rev": revision}
    return run_online(MigrationContext.configure(connection, opts=opts), schema, leave_newer=True)


def downgrade(connection: sa.Connection, *, schema: str, revision: str) -> MigrationReport:
    """Downgrade in the caller's transaction; at ``base`` nothing that we made is left."""
    require_known(revision)
    opts = {**options(schema), "fn": downgrade_steps(revision), "destination_rev": revision}
    return run_online(MigrationContext.configure(connection, opts=opts), schema)


def run_online(ctx: MigrationContext, schema: str, *, leave_newer: bool = False) -> MigrationReport:
    """Do what the context was configured for, in the transaction that its connection is in.

    A schema that a newer gw_sqla migrated is left alone on the way to the newest revision known here, or to any with
    ``leave_newer``; else Alembic does not find its revision.

    Raises PeerAtWorkError where another installer has to finish first, AccessError, SchemaTooOldError,
    SchemaTooNewError, SchemaError, and what the database and Alembic say.
    """
    connection = ctx.connection
    if connection is None:
        raise ConfigurationError("an online migration needs a connection")
    connection.exec_driver_sql(migration_path.SET)
    report = _run(ctx, connection, schema, leave_newer=leave_newer)
    connection.exec_driver_sql(migration_path.PUT_BACK)  # an error has ended the transaction, and the path with it
    return report


def _run(ctx: MigrationContext, connection: sa.Connection, schema: str, *, leave_newer: bool) -> MigrationReport:
    connection.exec_driver_sql(lock_sql(schema))
    before = read_state(connection, schema, MIGRATOR)
    destination = ctx.opts.get("destination_rev")
    unchanged = MigrationReport(schema, "unchanged", before.version, before.version)
    if ctx.opts.get("dont_mutate"):  # alembic current
        ctx.run_migrations()
        return unchanged
    _require_migratable(before)
    if before.version is not None and before.version > HEAD and (leave_newer or destination in _NEWEST):
        log.warning("schema %r was migrated by a newer gw_sqla: revision %s, here %s", schema, before.version, HEAD)
        return unchanged
    run_sql = partial(_execute, connection, schema)
    if destination != "base":
        run_sql("schema_create.sql")
        ctx.run_migrations(run_sql=run_sql, adopt=before.newest is not None)
    elif before.version is not None:
        ctx.run_migrations(run_sql=run_sql, adopt=False)
        run_sql("schema_drop.sql")
    return _report(before, ctx.get_current_revision())


def _require_migratable(state: SchemaState) -> None:
    if state.being_installed:
        raise PeerAtWorkError
    require_access(state)
    require_supported(state)
    if state.version is not None and state.newest is None:
        raise SchemaError(
            state.schema,
            f"schema {state.schema!r} was migrated by gw_sqla ({state.version}), but its table migrations is "
            "gone or empty: restore it, or drop the schema",
        )


def _report(before: SchemaState, after: str | None) -> MigrationReport:
    action: Action
    if after == before.version:
        action = "unchanged"
    elif before.version is None:
        action = "created" if before.newest is None else "adopted"
    else:
        action = "downgraded" if after is None or after < before.version else "upgraded"
    return MigrationReport(before.schema, action, before.version, after)


def _execute(connection: sa.Connection, schema: str, file: str) -> None:
    for statement in statements(file, schema):
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
