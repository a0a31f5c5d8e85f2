"""``cleanup``: deletes unused tasks and queues, and jobs that failed for good some time ago."""

from __future__ import annotations

from datetime import timedelta

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Cleaned, cleanup
from gw_sqla.cli.engine import connected
from gw_sqla.cli.job_input import parse_time
from gw_sqla.cli.listing import json_option, print_json
from gw_sqla.cli.options import database_url_option, debug_option, schema_option
from gw_sqla.cli.terminal import confirm, yes_option
from gw_sqla.errors import InvalidJobError
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
    yes: bool,
    as_json: bool,
) -> None:
    """Delete unused tasks and queues, and with --failed-after jobs that failed for good.

    In small batches that block nobody. Asks first where jobs are deleted. Tasks of gw_sqla's workers are kept; workers
    of Graphile Worker do not say which they know: stop them, or name their tasks with --keep-task. Workers do all of it
    by themselves with --cleanup-interval.
    """
    if failed_after is not None:
        age = str(failed_after).removesuffix(", 0:00:00")
        confirm(f"Delete all jobs that failed for good more than {age} ago?", yes=yes)
    cleaned = anyio.run(_clean, database_url, schema, tasks, queues, failed_after, keep_tasks)
    if as_json:
        print_json(
            {
                "tasks": cleaned.tasks,
                "queues": cleaned.queues,
                "failed_jobs": cleaned.failed_jobs,
                "restored": cleaned.restored,
                "forwarded": cleaned.forwarded,
            }
        )
    else:
        click.echo(str(cleaned))


async def _clean(
    url: URL, schema: str, tasks: bool, queues: bool, failed_after: timedelta | None, keep_tasks: tuple[str, ...]
) -> Cleaned:
    async with connected(url) as engine:
        await check_schema(engine, schema=schema)
        return await cleanup(
            engine, schema=schema, tasks=tasks, queues=queues, failed_after=failed_after, keep_tasks=keep_tasks
        )
