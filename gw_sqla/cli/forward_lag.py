"""``forward lag``: how far behind forwarding is."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Admin, ForwardLag
from gw_sqla.cli.listing import Column, format_options, print_list
from gw_sqla.cli.looking import looking
from gw_sqla.cli.options import database_url_option, debug_option, option, schema_option

__all__ = ["lag"]

_COLUMNS: Sequence[Column[ForwardLag]] = [
    Column("task", lambda lag: lag.task, cuts=True),
    Column("waiting", lambda lag: lag.waiting),
    Column("failed", lambda lag: lag.failed),
    Column("seconds", lambda lag: round(lag.age.total_seconds(), 3)),
]


@click.command()
@option("--task", "tasks", multiple=True, metavar="NAME", help="This task; can be repeated.")
@database_url_option()
@schema_option
@format_options
@debug_option
def lag(tasks: tuple[str, ...], database_url: URL, schema: str, *, output: str | None) -> None:
    """Show how many jobs are due and not sent, and for how many seconds the oldest has been due.

    Without --task, of the tasks that workers in the register forward. Failed: those that are not tried again.
    """
    print_list(anyio.run(_look, database_url, schema, tasks), _COLUMNS, output, nothing="no task is forwarded")


async def _look(url: URL, schema: str, tasks: tuple[str, ...]) -> list[ForwardLag]:
    async with looking(url, schema) as sessions, sessions() as session:
        return await Admin(schema).list_forward_lag(session, tasks or None)
