"""Whether the worker schema, as it is, can be worked in: is it there, current, not too new, and may the role use it?"""

from __future__ import annotations

import logging
import shlex

from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.errors import AccessError, SchemaBehindError, SchemaMissingError, SchemaTooNewError, SchemaTooOldError
from gw_sqla.jobs.argument_checks import check_schema_name
from gw_sqla.schema.rights import MIGRATOR, RoleKind
from gw_sqla.schema.state import SchemaState, read_state
from gw_sqla.schema.supported_revisions import HEAD, LEDGER_ID, OLDEST_LEDGER_ID
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["check_schema", "pending_migration", "require_access", "require_current", "require_supported"]

log = logging.getLogger(__name__)


async def check_schema(engine: AsyncEngine, *, schema: str = DEFAULT_SCHEMA, as_: RoleKind = "worker") -> SchemaState:
    """Look whether a worker can work in the schema with this role, in two round trips; changes nothing.

    Or whether one can do the work of another kind, ``as_``: adder, reader or admin. These need not know how old the
    schema is; where they may not read that, it is not looked at.
    Returns what it saw; logs a warning for a newer schema that is not known to be harmful.
    Raises SchemaMissingError, SchemaBehindError, SchemaTooOldError, SchemaTooNewError (each says what to do),
    AccessError (rights are missing, or row level security hides the rows), ConfigurationError (schema name),
    and database errors as they are. A cancellation gives the connection back.
    """
    check_schema_name(schema)
    state = await call_asyncio(_look, engine, schema, as_)
    require_current(state)
    return state


async def pending_migration(engine: AsyncEngine, *, schema: str = DEFAULT_SCHEMA) -> str | None:
    """Return what `gw_sqla.migrate` would do to the schema, in words; None where that is nothing. Changes nothing.

    The role need not be one that could do it. Raises AccessError where it may not read the schema's version,
    SchemaTooOldError and SchemaTooNewError where `migrate` would, ConfigurationError (schema name), and database
    errors as they are. A cancellation gives the connection back.
    """
    check_schema_name(schema)
    state = await call_asyncio(_look, engine, schema, "worker")
    if state.unread:
        require_access(state)
        raise AccessError(f"role {state.role!r} may not read the version of schema {schema!r}")
    require_supported(state)
    if state.newest is None:
        return f"schema {schema!r} is to be created: nothing -> {HEAD}"
    if state.version is None:
        return f"schema {schema!r} is to be adopted from Graphile Worker, whose revision is {state.newest}: -> {HEAD}"
    if state.version < HEAD or state.newest < LEDGER_ID:
        return f"schema {schema!r} is to be upgraded: {state.version} -> {HEAD}"
    return None


async def _look(engine: AsyncEngine, schema: str, as_: RoleKind) -> SchemaState:
    async with engine.connect() as connection:
        return await connection.run_sync(read_state, schema, as_)


def require_current(state: SchemaState) -> None:
    """Raise unless a worker of this version can work in the schema with this role; log what is newer but harmless."""
    schema, newest, version = state.schema, state.newest, state.version
    how = f"run: python -m gw_sqla migrate{_option(schema)}"
    require_access(state)
    if state.unread:
        return
    require_supported(state)
    if newest is None:
        raise SchemaMissingError(schema, f"there is no Graphile Worker schema {schema!r} in this database; {how}")
    if version is None:
        raise SchemaBehindError(schema, f"gw_sqla has not migrated schema {schema!r} yet; {how}")
    if version < HEAD or newest < LEDGER_ID:
        raise SchemaBehindError(
            schema,
            f"schema {schema!r} is at Graphile Worker revision {newest} and gw_sqla revision {version}, and this "
            f"version needs {LEDGER_ID} and {HEAD}; {how}",
        )
    if newest > LEDGER_ID:
        log.warning(
            "schema %r is at Graphile Worker revision %s, newer than %s but not breaking", schema, newest, LEDGER_ID
        )
    if version > HEAD:
        log.warning("schema %r was migrated by a newer gw_sqla: revision %s, here %s", schema, version, HEAD)


def require_access(state: SchemaState) -> None:
    """Raise AccessError where the role lacks a right that its kind of work begins with, or sees no rows.

    Row level security without a policy for it hides rows silently; with one, somebody has decided what is seen.
    """
    if state.role is None:
        return
    schema, role = state.schema, state.role
    owner = f"connect as {state.owner!r}, who owns its tables" if state.owner else "connect as its owner"
    least = f"python -m gw_sqla grants {shlex.quote(role)} --as {state.kind}{_option(schema)} --apply"
    how = f"{owner}, or have {'a superuser' if state.kind == MIGRATOR else 'that role'} run: {least}"
    if not state.usage:
        raise AccessError(f"role {role!r} may not use schema {schema!r}: {how}")
    if state.missing:
        raise AccessError(f"role {role!r} lacks rights in schema {schema!r} ({', '.join(state.missing)}): {how}")
    if state.hidden:
        tables = ", ".join(state.hidden)
        raise AccessError(f"row level security hides the rows of {tables} in schema {schema!r} from {role!r}: {how}")


def _option(schema: str) -> str:
    return "" if schema == DEFAULT_SCHEMA else f" --schema {shlex.quote(schema)}"


def require_supported(state: SchemaState) -> None:
    """Raise for a ledger that this version cannot work with: SchemaTooOldError, SchemaTooNewError.

    A ledger that is absent or empty passes.
    """
    if state.newest_breaking is not None and state.newest_breaking > LEDGER_ID:
        raise SchemaTooNewError(
            state.schema,
            f"schema {state.schema!r} is at Graphile Worker revision {state.newest} with the breaking migration "
            f"{state.newest_breaking}, and this version of gw_sqla knows them up to {LEDGER_ID}: upgrade gw_sqla",
        )
    if state.has_ledger and not state.has_breaking:
        raise SchemaTooOldError(
            state.schema,
            f"table migrations in schema {state.schema!r} has no column 'breaking': it belongs to another program "
            "(then use another schema) or to an old Graphile Worker (then upgrade with graphile-worker 0.16 or later)",
        )
    if state.newest is not None and state.newest < OLDEST_LEDGER_ID:
        raise SchemaTooOldError(
            state.schema,
            f"schema {state.schema!r} is at Graphile Worker revision {state.newest}, and gw_sqla needs at least "
            f"{OLDEST_LEDGER_ID}: upgrade it with graphile-worker 0.16 or later first",
        )
