"""``pauses``: what is paused now."""

from __future__ import annotations

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Pause, Pausing
from gw_sqla.cli.listing import format_options, print_list
from gw_sqla.cli.looking import looking
from gw_sqla.cli.options import database_url_option, debug_option, schema_option
from gw_sqla.cli.pausing import COLUMNS

__all__ = ["command"]


@click.command()
@database_url_option()
@schema_option
@format_options
@debug_option
def command(database_url: URL, schema: str, *, output: str | None) -> None:
    """List what is paused now, why, by whom and until when."""
    print_list(anyio.run(_look, database_url, schema), COLUMNS, output, nothing="nothing is paused")


async def _look(url: URL, schema: str) -> list[Pause]:
    async with looking(url, schema) as sessions, sessions() as session:
        return await Pausing(schema).list_pauses(session)
