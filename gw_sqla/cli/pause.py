"""``pause``: workers leave a task, a queue or everything alone."""

from __future__ import annotations

from datetime import datetime, timedelta

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Pause, Pausing
from gw_sqla.cli.adding import database_time
from gw_sqla.cli.job_input import at_time, parse_time
from gw_sqla.cli.looking import actor_option, looking
from gw_sqla.cli.options import database_url_option, debug_option, schema_option
from gw_sqla.cli.pausing import OTHERS, check_meant, meant_options
from gw_sqla.cli.terminal_text import printable
from gw_sqla.errors import InvalidJobError

__all__ = ["command"]


def _until(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | timedelta | None:
    try:
        return None if value is None else parse_time(value)
    except InvalidJobError as error:
        raise click.BadParameter(error.problem) from error


@click.command()
@meant_options
@database_url_option()
@schema_option
@click.option(
    "--until", callback=_until, metavar="TIME", help="When it ends by itself: 2030-01-31T08:00:00Z, or from now on, 2h."
)
@click.option("--reason", metavar="TEXT", help="Why; workers log it.")
@actor_option
@debug_option
def command(
    task: str | None,
    queue_name: str | None,
    database_url: URL,
    schema: str,
    *,
    everything: bool,
    until: datetime | timedelta | None,
    reason: str | None,
    actor: str | None,
) -> None:
    """Let workers leave a task, a queue or everything alone.

    Jobs stay, and more can be added. What workers have claimed by then they run. What is paused already has its pause
    changed. Workers of Graphile Worker (Node.js and Rust) know no pauses: they go on.
    """
    check_meant(task, queue_name, everything=everything)
    pause = anyio.run(_pause, database_url, schema, task, queue_name, everything, until, reason, actor)
    click.echo(f"paused: {printable(str(pause))}")
    click.echo(OTHERS, err=True)


async def _pause(
    url: URL,
    schema: str,
    task: str | None,
    queue_name: str | None,
    everything: bool,
    until: datetime | timedelta | None,
    reason: str | None,
    actor: str | None,
) -> Pause:
    async with looking(url, schema, as_="admin") as sessions, sessions.begin() as session:
        return await Pausing(schema).pause(
            session,
            task=task,
            queue_name=queue_name,
            everything=everything,
            until=at_time(until, await database_time(session)),
            reason=reason,
            actor=actor,
        )
