"""What Alembic's ``alembic/env.py`` does: the same migrations from Alembic's command line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import asyncpg
import sqlalchemy as sa
from alembic import context
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla.database.url import parse_url
from gw_sqla.errors import ConfigurationError, GwSqlaError
from gw_sqla.jobs.argument_checks import check_schema_name
from gw_sqla.schema.migration_lock import in_turn
from gw_sqla.schema.migration_report import MigrationReport
from gw_sqla.schema.offline_sql import OFFLINE_DIALECT, run_offline
from gw_sqla.schema.revision_runner import run_online
from gw_sqla.schema.revision_scripts import options
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["run_environment"]


def run_environment() -> None:
    """Do what Alembic's command line was asked for: the body of ``alembic/env.py``.

    The schema is ``config.attributes["schema"]``, else GRAPHILE_WORKER_SCHEMA, else graphile_worker. A synchronous
    ``config.attributes["connection"]`` is used as it is, in its transaction if it is in one; otherwise DATABASE_URL
    says where the database is. Raises alembic.util.CommandError, which Alembic prints as one line.
    """
    attributes = context.config.attributes
    schema = str(attributes.get("schema") or os.environ.get("GRAPHILE_WORKER_SCHEMA") or DEFAULT_SCHEMA)
    connection = attributes.get("connection")

    def work(connection: sa.Connection) -> MigrationReport:
        context.configure(connection=connection, **options(schema))
        return run_online(context.get_context(), schema)

    try:
        check_schema_name(schema)
        if context.is_offline_mode():
            context.configure(**OFFLINE_DIALECT, **options(schema))
            run_offline(context.get_context(), schema, adopt=False)
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
        await in_turn(engine, schema, work)
    finally:
        await engine.dispose()
