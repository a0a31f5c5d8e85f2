"""``cleanup``: deletes unused tasks and queues, and jobs that failed for good some time ago."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import click
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.admin import Cleaned, cleanup, preview_cleanup
from gw_sqla.cli.engine import connected
from gw_sqla.cli.job_input import parse_time
from gw_sqla.cli.listing import json_option, print_json
from gw_sqla.cli.looking import actor_option
from gw_sqla.cli.options import database_url_option, debug_option, schema_option
from gw_sqla.cli.terminal import confirm, yes_option
from gw_sqla.cli.terminal_text import counted
from gw_sqla.errors import AccessError, InvalidJobError
from gw_sqla.schema.check import check_schema

__all__ = ["command"]


def _age(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> timedelta | None:
    if value is None:
        return None
    try:
        age = parse_time(value)
    except InvalidJobError as error:
        raise click.BadParameter(f"{value!r} is no duration such as 30d or 12h") from error
    if not isinstance(age, timedelta):
        raise click.BadParameter(f"{value!r} is a time: give a duration such as 30d or 12h")
    return age


@click.command()
@database_url_option()
@schema_option
@click.option("--failed-after", callback=_age, metavar="AGE", help="Delete jobs that failed for good so long ago, 30d.")
@click.option("--tasks/--no-tasks", default=True, help="Delete tasks that no job and no living worker has.")
@click.option("--queues/--no-queues", default=True, help="Delete queues that no job has.")
@click.option("--keep-task", "keep_tasks", multiple=True, metavar="NAME", help="A task to keep; can be repeated.")
@click.option("--dry-run", is_flag=True, help="Delete nothing: say how much it would be.")
@actor_option
@yes_option
@json_option
@debug_option
def command(
    database_url: URL,
    schema: str,
    *,
    failed_after: timedelta | None,
    tasks: bool,
    queues: bool,
    keep_tasks: tuple[str, ...],
    dry_run: bool,
    actor: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete unused tasks and queues, and with --failed-after jobs that failed for good.

    In small batches that block nobody. Asks first where jobs are deleted. Tasks of gw_sqla's workers are kept; workers
    of Graphile Worker do not say which they know: stop them, or name their tasks with --keep-task. Workers do all of it
    by themselves with --cleanup-interval.
    """
    what: dict[str, Any] = {
        "tasks": tasks,
        "queues": queues,
        "failed_after": failed_after,
        "keep_tasks": keep_tasks,
    }
    if failed_after is not None and not dry_run:
        age = str(failed_after).removesuffix(", 0:00:00")
        confirm(f"Delete all jobs that failed for good more than {age} ago?", yes=yes)
    cleaned = anyio.run(_preview if dry_run else partial(_clean, actor=actor), database_url, schema, what)
    if as_json:
        print_json(asdict(cleaned))
    elif dry_run:
        names = counted(cleaned.tasks, "task"), counted(cleaned.queues, "queue")
        told = f"{', '.join(names)} and {counted(cleaned.failed_jobs, 'failed job')}"
        click.echo(f"{told} would be removed; nothing was done")
    else:
        click.echo(str(cleaned))


async def _clean(url: URL, schema: str, what: dict[str, Any], actor: str | None) -> Cleaned:
    async with connected(url) as engine:
        try:
            await check_schema(engine, schema=schema, as_="admin")
        except AccessError:  # a worker's role that cleans up does too, but may leave no line
            if actor is not None or not await _is_cleaner(engine, schema):
                raise
        return await cleanup(engine, schema=schema, actor=actor, **what)


async def _is_cleaner(engine: AsyncEngine, schema: str) -> bool:
    with suppress(AccessError):
        await check_schema(engine, schema=schema, as_="cleaner")
        return True
    return False


async def _preview(url: URL, schema: str, what: dict[str, Any]) -> Cleaned:
    async with connected(url) as engine:
        await check_schema(engine, schema=schema, as_="reader")
        return await preview_cleanup(engine, schema=schema, **what)
