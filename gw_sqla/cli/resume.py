"""``resume``: ends pauses."""

from __future__ import annotations

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Pause, Pausing
from gw_sqla.cli.looking import actor_option, looking
from gw_sqla.cli.options import database_url_option, debug_option, schema_option
from gw_sqla.cli.pausing import check_meant, meant_options
from gw_sqla.cli.terminal_text import printable

__all__ = ["command"]


@click.command()
@meant_options
@database_url_option()
@schema_option
@actor_option
@debug_option
def command(
    task: str | None, queue_name: str | None, database_url: URL, schema: str, *, everything: bool, actor: str | None
) -> None:
    """End a pause; with --everything all pauses, those of single tasks and queues too.

    The exit code is 1 if nothing of it was paused.
    """
    check_meant(task, queue_name, everything=everything)
    ended = anyio.run(_resume, database_url, schema, task, queue_name, everything, actor)
    for pause in ended:
        click.echo(f"resumed: {printable(str(pause))}")
    if not ended:
        raise click.ClickException("nothing of it was paused: see pauses")


async def _resume(
    url: URL, schema: str, task: str | None, queue_name: str | None, everything: bool, actor: str | None
) -> list[Pause]:
    async with looking(url, schema, as_="admin") as sessions, sessions.begin() as session:
        return await Pausing(schema).resume(
            session, task=task, queue_name=queue_name, everything=everything, actor=actor
        )
