"""``queues``: what waits in each, and who has its lock."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Admin, QueueInfo, ScanLimits
from gw_sqla.cli.listing import Column, format_options, print_list, utc_text
from gw_sqla.cli.looking import after_option, limit_option, looking, search_option
from gw_sqla.cli.options import database_url_option, debug_option, schema_option
from gw_sqla.cli.terminal_text import shell_word

__all__ = ["command"]


def _owner(queue: QueueInfo) -> str | None:
    if queue.locked_by is None:
        return None
    return "unknown" if queue.worker is None else "alive" if queue.worker.is_alive else "dead"


_COLUMNS: list[Column[QueueInfo]] = [
    Column("queue_name", lambda queue: queue.name, cuts=True),
    Column("waiting", lambda queue: queue.waiting.number, lambda queue: str(queue.waiting), right=True),
    Column("next_run_at", lambda queue: queue.next_run_at, lambda queue: utc_text(queue.next_run_at)),
    Column("locked_by", lambda queue: queue.locked_by),
    Column("locked_at", lambda queue: queue.locked_at, lambda queue: utc_text(queue.locked_at)),
    Column("owner", _owner, color=lambda queue: "red" if _owner(queue) == "dead" else None),
    Column("is_exact", lambda queue: queue.waiting.is_exact, in_table=False),
]


@click.command()
@database_url_option()
@schema_option
@click.option("--locked", is_flag=True, help="Those only that somebody has locked.")
@limit_option
@after_option
@search_option
@format_options
@debug_option
def command(
    database_url: URL,
    schema: str,
    *,
    locked: bool,
    limit: int,
    after: str | None,
    limits: ScanLimits,
    output: str | None,
) -> None:
    """List queues by name.

    OWNER is of the lock: alive, dead, or unknown, as workers of Graphile Worker are, and those that are long gone.
    """
    found = anyio.run(_look, database_url, schema, locked, after, limit, limits)
    print_list(found, _COLUMNS, output, nothing="no queues")
    if len(found) == limit:
        click.echo(f"there may be more: --after {shell_word(found[-1].name)}", err=True)


async def _look(
    url: URL, schema: str, locked: bool, after: str | None, limit: int, limits: ScanLimits
) -> Sequence[QueueInfo]:
    async with looking(url, schema) as sessions, sessions() as session:
        return await Admin(schema, limits=limits).list_queues(session, only_locked=locked, after=after, limit=limit)
