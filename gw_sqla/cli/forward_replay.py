"""``forward replay``: jobs that were forwarded, and kept, are added anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Admin, ForwardedJobs
from gw_sqla.cli.adding import database_time
from gw_sqla.cli.job_input import at_time, parse_json, parse_time
from gw_sqla.cli.looking import actor_option, looking
from gw_sqla.cli.options import database_url_option, debug_option, option, schema_option
from gw_sqla.cli.terminal import confirm, yes_option
from gw_sqla.errors import InvalidJobError

__all__ = ["replay"]

_AT_ONCE = 10_000


def _time(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | timedelta | None:
    """A duration is one before now."""
    try:
        time = None if value is None else parse_time(value)
    except InvalidJobError as error:
        raise click.BadParameter(f"{value!r} is no time such as 2030-01-31T08:00:00Z, nor an age such as 2h") from error
    return -time if isinstance(time, timedelta) else time


@click.command()
@option("--task", required=True, metavar="NAME", help="The task that they were jobs of.")
@option("--since", callback=_time, metavar="TIME", help="Sent since: 2030-01-31T08:00:00Z, or so long ago, 2h.")
@option("--until", callback=_time, metavar="TIME", help="Sent before.")
@option("--queue", "queue_name", metavar="NAME", help="Those of this queue.")
@option("--job", "job_ids", type=int, multiple=True, metavar="ID", help="The job with this id; can be repeated.")
@option("--payload", metavar="JSON", help="Those whose payloads contain this, such as '{\"customer\": 7}'.")
@option("--dry-run", is_flag=True, help="Only count them.")
@actor_option
@yes_option
@database_url_option()
@schema_option
@debug_option
def replay(
    task: str,
    since: datetime | timedelta | None,
    until: datetime | timedelta | None,
    queue_name: str | None,
    job_ids: tuple[int, ...],
    payload: str | None,
    database_url: URL,
    schema: str,
    *,
    dry_run: bool,
    actor: str | None,
    yes: bool,
) -> None:
    """Add jobs anew that were forwarded and kept (keep in forward.toml), in the order in which they were sent.

    They are new jobs: due now, with other ids, so that no consumer drops them as repeats, and without keys. They are
    added 10,000 in a transaction; what was added stays if a later one fails.
    """
    jobs = ForwardedJobs(
        task=task,
        queue_name=queue_name,
        job_ids=job_ids or None,
        payload=None if payload is None else parse_json(payload),
    )
    count, jobs = anyio.run(_count, database_url, schema, jobs, since, until)
    if dry_run or not count:
        click.echo(f"{count} jobs of {task} are kept and meant")
        return
    confirm(f"Add {count} jobs of {task} anew?", yes=yes)
    click.echo(f"{anyio.run(_replay, database_url, schema, jobs, actor)} jobs of {task} added anew")


async def _count(
    url: URL, schema: str, jobs: ForwardedJobs, since: datetime | timedelta | None, until: datetime | timedelta | None
) -> tuple[int, ForwardedJobs]:
    async with looking(url, schema, as_="admin") as sessions, sessions() as session:
        now = await database_time(session)
        jobs = replace(jobs, since=at_time(since, now), until=at_time(until, now))
        return await Admin(schema).count_forwarded(session, jobs), jobs


async def _replay(url: URL, schema: str, jobs: ForwardedJobs, actor: str | None) -> int:
    added = 0
    cursor: Any = None
    async with looking(url, schema, as_="admin") as sessions:
        while True:
            async with sessions.begin() as session:
                replayed = await Admin(schema).replay_forwarded(
                    session, jobs, most=_AT_ONCE, cursor=cursor, actor=actor
                )
            added += replayed.jobs
            cursor = replayed.cursor
            if cursor is None:
                return added
