"""``downgrade``: remove what ``migrate`` made."""

from __future__ import annotations

from datetime import timedelta

import anyio
import click
from sqlalchemy import URL

from gw_sqla.cli.engine import connected
from gw_sqla.cli.options import database_url_option, debug_option, lock_timeout_option, schema_option
from gw_sqla.cli.terminal import confirm, yes_option
from gw_sqla.schema.migrations import downgrade

__all__ = ["command"]


@click.command()
@database_url_option()
@schema_option
@yes_option
@lock_timeout_option()
@debug_option
def command(database_url: URL, schema: str, lock_timeout: timedelta | None, *, yes: bool) -> None:
    """Remove what migrate made.

    That is the whole schema, or gw_sqla's own objects in a schema that Graphile Worker made.
    Refuses while there are jobs, and asks first. Stop all workers before.
    """
    confirm(f"Remove the worker schema {schema!r}?", yes=yes)
    anyio.run(_downgrade, database_url, schema, lock_timeout)


async def _downgrade(url: URL, schema: str, lock_timeout: timedelta | None) -> None:
    async with connected(url) as engine:
        click.echo(await downgrade(engine, schema=schema, lock_timeout=lock_timeout))
