"""``migrate``: create, adopt or upgrade the worker schema, or write the SQL for it."""

from __future__ import annotations

from datetime import timedelta

import anyio
import click
from sqlalchemy import URL

from gw_sqla.cli.engine import connected
from gw_sqla.cli.options import database_url_option, debug_option, lock_timeout_option, option, schema_option
from gw_sqla.schema.migrations import migrate, migration_sql

__all__ = ["command"]


@click.command()
@database_url_option(required=False)
@schema_option
@option("--sql", is_flag=True, help="Print the SQL instead of running it; needs no database.")
@option("--adopt", is_flag=True, help="With --sql: write it for a schema that Graphile Worker made.")
@lock_timeout_option()
@debug_option
def command(database_url: URL | None, schema: str, lock_timeout: timedelta | None, *, sql: bool, adopt: bool) -> None:
    """Create, adopt or upgrade the schema.

    Adopts a schema that Graphile Worker made. Finds out by itself what is to be done, leaves jobs untouched,
    changes nothing where all is up to date, and can be run by many programs at once. The role must own the
    schema, or may create it.
    """
    if adopt and not sql:
        raise click.UsageError("--adopt goes with --sql; without --sql, migrate sees by itself what is there")
    if sql:
        click.echo(migration_sql(schema=schema, adopt=adopt))
    elif database_url is None:
        raise click.UsageError("no database: give --database-url, or set DATABASE_URL")
    else:
        anyio.run(_migrate, database_url, schema, lock_timeout)


async def _migrate(url: URL, schema: str, lock_timeout: timedelta | None) -> None:
    async with connected(url) as engine:
        click.echo(await migrate(engine, schema=schema, lock_timeout=lock_timeout))
