"""``migrate``: create, adopt or upgrade the worker schema, or write the SQL for it."""

from __future__ import annotations

from datetime import timedelta

import anyio
import click
from sqlalchemy import URL

from gw_sqla.cli.engine import connected
from gw_sqla.cli.options import database_url_option, debug_option, lock_timeout_option, option, schema_option
from gw_sqla.schema.check import pending_migration
from gw_sqla.schema.migrations import migrate, migration_sql

__all__ = ["command"]

_SOMETHING_TO_DO = 3
"""The exit code of ``--check``: not 1, which says that nobody could look."""


@click.command()
@database_url_option(required=False)
@schema_option
@option("--sql", is_flag=True, help="Print the SQL instead of running it; needs no database.")
@click.option(
    "--check",
    is_flag=True,
    help="Change nothing: tell whether there is something to do. The exit code is 3 if there is, 0 if not.",
)
@option("--adopt", is_flag=True, help="With --sql: write it for a schema that Graphile Worker made.")
@lock_timeout_option()
@debug_option
@click.pass_context
def command(
    ctx: click.Context,
    database_url: URL | None,
    schema: str,
    lock_timeout: timedelta | None,
    *,
    sql: bool,
    check: bool,
    adopt: bool,
) -> None:
    """Create, adopt or upgrade the schema.

    Adopts a schema that Graphile Worker made. Finds out by itself what is to be done, leaves jobs untouched,
    changes nothing where all is up to date, and can be run by many programs at once. The role must own the
    schema, or may create it.
    """
    if adopt and not sql:
        raise click.UsageError("--adopt goes with --sql; without --sql, migrate sees by itself what is there")
    if check and sql:
        raise click.UsageError("--check looks at a database, and --sql needs none: leave one of them out")
    if sql:
        click.echo(migration_sql(schema=schema, adopt=adopt))
    elif database_url is None:
        raise click.UsageError("no database: give --database-url, or set DATABASE_URL")
    elif check:
        if (pending := anyio.run(_check, database_url, schema)) is not None:
            click.echo(pending)
            ctx.exit(_SOMETHING_TO_DO)
        click.echo(f"schema {schema!r}: nothing to do")
    else:
        anyio.run(_migrate, database_url, schema, lock_timeout)


async def _check(url: URL, schema: str) -> str | None:
    async with connected(url) as engine:
        return await pending_migration(engine, schema=schema)


async def _migrate(url: URL, schema: str, lock_timeout: timedelta | None) -> None:
    async with connected(url) as engine:
        click.echo(await migrate(engine, schema=schema, lock_timeout=lock_timeout))
