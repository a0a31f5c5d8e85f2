"""``tasks``: how many jobs of each wait, run and have failed, and how many workers know it."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Admin, ScanLimits, TaskInfo
from gw_sqla.cli.listing import Column, format_options, print_list, utc_text
from gw_sqla.cli.looking import after_option, limit_option, looking, search_option
from gw_sqla.cli.options import database_url_option, debug_option, schema_option
from gw_sqla.cli.terminal_text import shell_word

__all__ = ["COLUMNS", "command"]

COLUMNS: list[Column[TaskInfo]] = [
    Column("task_identifier", lambda task: task.identifier, cuts=True),
    Column("waiting", lambda task: task.waiting.number, lambda task: str(task.waiting), right=True),
    Column("ready", lambda task: task.ready.number, lambda task: str(task.ready), right=True),
    Column("oldest_ready", lambda task: task.oldest_ready, lambda task: utc_text(task.oldest_ready)),
    Column("running", lambda task: task.running.number, lambda task: str(task.running), right=True),
    Column(
        "failed",
        lambda task: task.failed.number,
        lambda task: str(task.failed),
        lambda task: "red" if task.failed.number else None,
        right=True,
    ),
    Column(
        "workers",
        lambda task: len(task.workers),
        color=lambda task: "red" if task.ready.number and not task.workers else None,
        right=True,
    ),
    Column(
        "is_exact",
        lambda task: all(count.is_exact for count in (task.waiting, task.ready, task.running, task.failed)),
        in_table=False,
    ),
]


@click.command()
@database_url_option()
@schema_option
@limit_option
@after_option
@search_option
@format_options
@debug_option
def command(
    database_url: URL,
    schema: str,
    *,
    limit: int,
    after: str | None,
    limits: ScanLimits,
    output: str | None,
) -> None:
    """List tasks by name: jobs of each by state, and the living workers that know it.

    WAITING counts ready jobs too. A count with a + is of the jobs that were looked at.
    """
    found = anyio.run(_look, database_url, schema, after, limit, limits)
    print_list(found, COLUMNS, output, nothing="no tasks")
    if len(found) == limit:
        click.echo(f"there may be more: --after {shell_word(found[-1].identifier)}", err=True)


async def _look(url: URL, schema: str, after: str | None, limit: int, limits: ScanLimits) -> Sequence[TaskInfo]:
    async with looking(url, schema) as sessions, sessions() as session:
        return await Admin(schema, limits=limits).list_tasks(session, after=after, limit=limit)
