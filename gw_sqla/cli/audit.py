"""``audit``: who did what to jobs."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Admin, AuditLine, ScanLimits
from gw_sqla.cli.listing import Column, format_options, print_list, utc_text
from gw_sqla.cli.looking import limit_option, looking, search_option
from gw_sqla.cli.options import database_url_option, debug_option, schema_option

__all__ = ["command"]

_COLUMNS: list[Column[AuditLine]] = [
    Column("id", lambda line: line.id, right=True),
    Column("at", lambda line: line.at, lambda line: utc_text(line.at)),
    Column("actor", lambda line: line.actor, cuts=True),
    Column("action", lambda line: line.action),
    Column("detail", lambda line: line.detail, cuts=True),
    Column("subject", lambda line: line.subject, cuts=True),
    Column("jobs", lambda line: line.jobs, right=True),
    Column("left_out", lambda line: line.left_out, right=True),
]


@click.command()
@database_url_option()
@schema_option
@limit_option
@click.option("--before", type=int, metavar="ID", help="Lines before this one only: the next page.")
@search_option
@format_options
@debug_option
def command(
    database_url: URL,
    schema: str,
    *,
    limit: int,
    before: int | None,
    limits: ScanLimits,
    output: str | None,
) -> None:
    """List who did what to jobs, newest first, of the last 90 days.

    Those who named themselves are there: --actor of the commands that change jobs, or GW_SQLA_ACTOR.
    """
    found = anyio.run(_look, database_url, schema, before, limit, limits)
    print_list(found, _COLUMNS, output, nothing="nothing was done by anybody who named themselves")
    if len(found) == limit:
        click.echo(f"there may be more: --before {found[-1].id}", err=True)


async def _look(url: URL, schema: str, before: int | None, limit: int, limits: ScanLimits) -> Sequence[AuditLine]:
    async with looking(url, schema) as sessions, sessions() as session:
        return await Admin(schema, limits=limits).list_audit(session, before=before, limit=limit)
