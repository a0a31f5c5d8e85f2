"""``crontab``: check a file, show when its items fire, show what the database knows, add the job of an item now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from itertools import islice
from typing import Any

import click

from gw_sqla.cli.crontab_database import known, run
from gw_sqla.cli.crontab_items import items_option, load
from gw_sqla.cli.listing import json_option, print_json, utc_text
from gw_sqla.cli.options import debug_option
from gw_sqla.crontab import CronItem, agenda, read_crontab, scan_crontab
from gw_sqla.crontab.clock import SystemClock
from gw_sqla.crontab.parse import read_text
from gw_sqla.crontab.task_check import check_fit
from gw_sqla.errors import ConfigurationError
from gw_sqla.execution.task_registry import TaskRegistry

__all__ = ["command"]

_file_argument = click.argument("file", metavar="[FILE]", required=False)


def _parse_time(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> datetime:
    if value is None:
        return SystemClock().now()
    try:
        time = datetime.fromisoformat(value)
        return time.astimezone(UTC) if time.utcoffset() is not None else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{value!r} is not an ISO 8601 time such as 2030-01-31T08:00:00Z") from error


@click.group()
def command() -> None:
    """Check a crontab, show when it fires and what the database knows of it, run an item now.

    Needs no database but for known and run.
    """


command.add_command(known)
command.add_command(run)


@command.command()
@_file_argument
@items_option
@debug_option
@click.pass_context
def check(ctx: click.Context, file: str | None, apps: tuple[str, ...]) -> None:
    """Find all faults of a crontab file, of an application's cron items, or of both together.

    Each is a line of standard output, FILE:LINE:COLUMN: what is wrong, and how to mend it. Warnings mark what Graphile
    Worker for Node.js would not understand, what never fires, and tasks that the application has not. The exit code is
    2 if there are faults; warnings do not change it.
    """
    _require_any(file, apps)
    name = file or "--app"
    items: list[CronItem] = []
    errors = 0
    if file is not None:
        reading = scan_crontab(read_text(file))
        items, errors = reading.items, len(reading.errors)
        for problem in reading.problems:
            kind = "warning" if problem.is_warning else "error"
            click.echo(f"{file}:{problem.line}:{problem.column}: {kind}: {problem.text}")
    if apps:
        tasks = load(apps)
        errors += _say_problems(name, items, tasks)
        items = [*items, *tasks.cron_items]
    if errors:
        click.echo(f"{name}: errors: {errors}; nothing of it would be used", err=True)
        ctx.exit(2)
    click.echo(f"{name}: items: {len(items)}; no errors")


def _say_problems(name: str, items: Sequence[CronItem], tasks: TaskRegistry) -> int:
    """Print what stands between the items of a file and an application; return how many errors there are."""
    errors = 0
    for item in items:
        kind = "error"
        if any(item.identifier == other.identifier for other in tasks.cron_items):
            problem = f"the application has an item {item.identifier!r} too: give one of them another id"
        elif item.task in tasks:
            problem = _misfit(item, tasks)
        else:
            near = get_close_matches(item.task, tasks, 1)
            hint = f"did you mean {near[0]}?" if near else "another worker may have it"
            kind, problem = "warning", f"the application has no task {item.task}: {hint}"
        if problem:
            click.echo(f"{name}: {kind}: {item.identifier}: {problem}")
            errors += kind == "error"
    return errors


def _misfit(item: CronItem, tasks: TaskRegistry) -> str:
    try:
        check_fit(item, tasks[item.task])
    except ConfigurationError as error:
        return str(error).removeprefix(f"cron item {item.identifier!r}: ")
    return ""


def _require_any(file: str | None, apps: tuple[str, ...]) -> None:
    if file is None and not apps:
        raise click.UsageError("Missing argument 'FILE', or --app MODULE:ATTRIBUTE.")


@command.command("next")
@_file_argument
@items_option
@click.option("--count", type=click.IntRange(1, 100_000), default=10, metavar="N", help="How many fire times to show.")
@click.option(
    "--from",
    "start",
    callback=_parse_time,
    metavar="TIME",
    help="From when on; UTC unless it has an offset: 2030-01-31T08:00:00Z. Default: now.",
)
@json_option
@debug_option
def upcoming(file: str | None, apps: tuple[str, ...], *, count: int, start: datetime, as_json: bool) -> None:
    """Show when the items of a crontab file, of an application, or of both fire next, in order.

    Times are in UTC; an item with a time zone has its local time too.
    """
    _require_any(file, apps)
    items = [*(() if file is None else read_crontab(file)), *(load(apps).cron_items if apps else ())]
    times = ((minute, item) for minute, fire in agenda(items, start) for item in fire)
    rows = [_fire(minute, item) for minute, item in islice(times, count)]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        local = f"  ({row['local']} {row['tz']})" if row["tz"] else ""
        click.echo(f"{row['at']}  {row['identifier']}{local}")
    if not rows:
        click.echo("nothing fires")


def _fire(minute: datetime, item: CronItem) -> dict[str, Any]:
    return {
        "at": utc_text(minute),
        "identifier": item.identifier,
        "task": item.task,
        "tz": item.tz,
        "local": None if item.tz is None else item.local(minute).isoformat(timespec="minutes"),
    }
