"""Creates, adopts, upgrades and checks the worker schema.

    database                                      migrate()                       check_schema()
    no schema, or one without a ledger            creates revision 19             SchemaMissingError
    made by Graphile Worker, ledger 18, 19, 20    adopts it, jobs untouched       SchemaBehindError
    ledger below 18                               SchemaTooOldError               SchemaTooOldError
    ledger with a breaking id above 19            SchemaTooNewError               SchemaTooNewError
    made or adopted by gw_sqla, older             upgrades it                     SchemaBehindError
    made or adopted by gw_sqla                    leaves it alone                 passes

gw_sqla's migrators take turns (an advisory lock). Installers of Graphile Worker know no lock of ours: whoever comes
second fails on the ledger with one of four codes, rolls back and finds on a second look that the work is done. While
a ledger is short and still growing, an installer is at work and is waited for.

A look or a migration is one `call_asyncio`, from the connection to its closing. It is cancelled once, so the closing,
which rolls back, runs to its end on both event loops.

`migrate` never sends ``worker:migrate`` for a schema that it creates. No worker runs in it yet, and the channel is
shared by all schemas of a database: Graphile Worker for Node.js stops at any breaking migration that it hears of.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import anyio
import asyncpg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.database.url import parse_url
from gw_sqla.errors import AccessError, ConfigurationError, GwSqlaError, SchemaError, SchemaInUseError
from gw_sqla.jobs.argument_checks import check_schema_name
from gw_sqla.schema.migration_ledger import (
    MigrationReport,
    PeerAtWorkError,
    SchemaState,
    read_state,
    require_current,
)
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = [
    "MigrationReport",
    "SchemaState",
    "check_schema",
    "downgrade",
    "migrate",
    "migration_sql",
    "run_environment",
]

R = TypeVar("R")
log = logging.getLogger(__name__)

_CLASHES = frozenset({"23505", "42P06", "42P07", "42710", "40P01"})
"""Somebody else has just made the same thing (the peers' four codes), or won a deadlock against us."""
_MOST_CLASHES = 6
"""An installer at work leaves its ledger behind at the second clash; so many mean that something else has the name."""


async def migrate(engine: AsyncEngine, *, schema: str = DEFAULT_SCHEMA, revision: str = "head") -> MigrationReport:
    """Create, adopt or upgrade the worker schema, in one transaction of its own.

    ``revision`` is one of gw_sqla's Alembic revisions. On a schema with many jobs the index is built while
    writes to the jobs wait, and it waits for transactions that have added jobs.

    Raises AccessError (the role does not own the schema, or may not create it), SchemaTooOldError, SchemaTooNewError,
    SchemaError (an object of another kind has a name that the schema needs), ConfigurationError (schema name,
    revision), and database errors as they are. A cancellation rolls back.
    """
    from gw_sqla.schema import revision_runner

    check_schema_name(schema)
    return await _settled(engine, partial(revision_runner.upgrade, schema=schema, revision=revision), schema)


async def downgrade(engine: AsyncEngine, *, schema: str = DEFAULT_SCHEMA, revision: str = "base") -> MigrationReport:
    """Take our revisions back, in one transaction of its own; at ``base`` remove what we made.

    A schema that a peer made, or that a peer has migrated beyond 19, loses only gw_sqla's own objects. The schema
    itself is dropped if we created it and nothing else is in it. Running workers must be stopped first.

    Raises SchemaInUseError while there are jobs, or objects of others that depend on the tables; AccessError,
    ConfigurationError and database errors as `migrate` does. A cancellation rolls back.
    """
    from gw_sqla.schema import revision_runner

    check_schema_name(schema)
    return await _settled(engine, partial(revision_runner.downgrade, schema=schema, revision=revision), schema)


def migration_sql(*, schema: str = DEFAULT_SCHEMA, adopt: bool = False) -> str:
    """Return what `migrate` would run, as text for psql; needs no database.

    The script is one transaction. It stops with an error where there is a ledger already; with ``adopt`` it is the
    script for a schema made by Graphile Worker, and stops where that is missing, too old or too new.
    Raises ConfigurationError for an impossible schema name.
    """
    from gw_sqla.schema import revision_runner

    check_schema_name(schema)
    return revision_runner.offline_sql(schema=schema, adopt=adopt)


async def check_schema(engine: AsyncEngine, *, schema: str = DEFAULT_SCHEMA) -> SchemaState:
    """Look whether a worker can work in the schema with this role, in two round trips; changes nothing.

    Returns what it saw; logs a warning for a newer schema that is not known to be harmful.
    Raises SchemaMissingError, SchemaBehindError, SchemaTooOldError, SchemaTooNewError (each says what to do),
    AccessError (rights are missing, or row level security hides the rows), ConfigurationError (schema name),
    and database errors as they are. A cancellation gives the connection back.
    """
    check_schema_name(schema)
    state = await call_asyncio(_look, engine, schema)
    require_current(state)
    return state


async def _look(engine: AsyncEngine, schema: str) -> SchemaState:
    async with engine.connect() as connection:
        return await connection.run_sync(read_state, schema)


def run_environment() -> None:
    """Do what Alembic's command line was asked for: the body of ``alembic/env.py``.

    The schema is ``config.attributes["schema"]``, else GRAPHILE_WORKER_SCHEMA, else graphile_worker. A synchronous
    ``config.attributes["connection"]`` is used as it is, in its transaction if it is in one; otherwise DATABASE_URL
    says where the database is. Raises alembic.util.CommandError, which Alembic prints as one line.
    """
    from alembic import context
    from alembic.util import CommandError

    from gw_sqla.schema import revision_runner

    attributes = context.config.attributes
    schema = str(attributes.get("schema") or os.environ.get("GRAPHILE_WORKER_SCHEMA") or DEFAULT_SCHEMA)
    connection = attributes.get("connection")

    def work(connection: sa.Connection) -> MigrationReport:
        context.configure(connection=connection, **revision_runner.options(schema))
        return revision_runner.run_online(context.get_context(), schema)

    try:
        check_schema_name(schema)
        if context.is_offline_mode():
            context.configure(**revision_runner.OFFLINE_DIALECT, **revision_runner.options(schema))
            revision_runner.run_offline(context.get_context(), schema, adopt=False)
        elif connection is None:
            asyncio.run(_at_database_url(work, schema))
        elif connection.in_transaction():
            work(connection)
        else:
            with connection.begin():
                work(connection)
    except GwSqlaError as error:
        raise CommandError(str(error)) from error
    except (OSError, asyncpg.PostgresError, DBAPIError) as error:
        raise CommandError(f"{type(error).__name__}: {error}") from error


async def _at_database_url(work: Callable[[sa.Connection], MigrationReport], schema: str) -> None:
    text = os.environ.get("DATABASE_URL")
    if not text:
        raise ConfigurationError("DATABASE_URL is not set: give the database, such as postgresql://user@host/name")
    engine = create_async_engine(parse_url(text, "DATABASE_URL"), poolclass=sa.NullPool)
    try:
        await _settled(engine, work, schema)
    finally:
        await engine.dispose()


async def _settled(engine: AsyncEngine, work: Callable[[sa.Connection], R], schema: str) -> R:
    """Run `work` in a transaction of its own, again and again while other installers are at work."""
    from alembic.util import CommandError

    clashes = pauses = 0
    while True:
        try:
            return await call_asyncio(_in_transaction, engine, work)
        except PeerAtWorkError:
            log.info("schema %r: another installer is at work, waiting for it", schema)
        except CommandError as error:
            raise ConfigurationError(str(error)) from error
        except DBAPIError as error:
            clashes += 1
            if _sqlstate(error) not in _CLASHES or clashes == _MOST_CLASHES:
                explained = _explained(error, schema)
                if explained is None:
                    raise
                raise explained from error
            log.info("schema %r: another installer was faster (%s), looking again", schema, _message(error))
        # Jitter, so that those who clashed once do not meet again.
        await anyio.sleep(min(1.0, 0.05 * 2**pauses) * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
        pauses += 1


async def _in_transaction(engine: AsyncEngine, work: Callable[[sa.Connection], R]) -> R:
    async with engine.connect() as connection:
        # Each statement must see what was committed while it waited; an engine in autocommit would lose the lock.
        await connection.execution_options(isolation_level="READ COMMITTED")
        await connection.begin()
        result = await connection.run_sync(work)
        await connection.commit()
        return result


def _sqlstate(error: DBAPIError) -> str | None:
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state


def _message(error: DBAPIError) -> str:
    return " ".join(str(getattr(error.orig, "__cause__", None) or error.orig).split())


def _explained(error: DBAPIError, schema: str) -> GwSqlaError | None:
    state, message = _sqlstate(error), _message(error)
    if state == "42501":
        return AccessError(f"the role may not migrate schema {schema!r} ({message}): use the role that owns it")
    if state == "55006":  # raised by our own downgrade
        return SchemaInUseError(schema, message)
    if state == "2BP01":
        return SchemaInUseError(schema, f"schema {schema!r} stays as it is: {message}")
    if state in _CLASHES:
        return SchemaError(schema, f"cannot create schema {schema!r}, something in it has the name: {message}")
    return None
