"""``crontab``: check a file, show when its items fire, show what the database knows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import anyio
import click
from sqlalchemy import URL

from gw_sqla.cli.application import load_apps, load_crontab
from gw_sqla.cli.engine import connected
from gw_sqla.cli.options import app_option, crontab_option, database_url_option, debug_option, option, schema_option
from gw_sqla.crontab import CronItem, agenda, read_crontab, scan_crontab
from gw_sqla.crontab.clock import SystemClock
from gw_sqla.crontab.known_crontabs import KnownCrontab, KnownCrontabs
from gw_sqla.crontab.parse import read_text
from gw_sqla.schema.check import check_schema

__all__ = ["command"]

_file_argument = click.argument("file", metavar="FILE")
_app_option = app_option(
    required=False, help="Where a TaskRegistry is, for the items that it declares; can be repeated."
)
_json_option = option("--json", "as_json", is_flag=True, help="Print JSON.")


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
    """Check a crontab, show when it fires and what the database knows of it.

    Needs no database but for known.
    """


@command.command()
@_file_argument
@debug_option
@click.pass_context
def check(ctx: click.Context, file: str) -> None:
    """Find all faults of a crontab file.

    Each is a line of standard output, FILE:LINE:COLUMN: what is wrong, and how to mend it. Warnings mark what Graphile
    Worker for Node.js would not understand, and what never fires. The exit code is 2 if there are faults; warnings
    do not change it.
    """
    reading = scan_crontab(read_text(file))
    for problem in reading.problems:
        kind = "warning" if problem.is_warning else "error"
        click.echo(f"{file}:{problem.line}:{problem.column}: {kind}: {problem.text}")
    if reading.errors:
        click.echo(f"{file}: errors: {len(reading.errors)}; nothing of it would be used", err=True)
        ctx.exit(2)
    click.echo(f"{file}: items: {len(reading.items)}; no errors")


@command.command("next")
@_file_argument
@option("--count", type=click.IntRange(1, 100_000), default=10, metavar="N", help="How many fire times to show.")
@option(
    "--from",
    "start",
    callback=_parse_time,
    metavar="TIME",
    help="From when on; UTC unless it has an offset: 2030-01-31T08:00:00Z. Default: now.",
)
@_json_option
@debug_option
def upcoming(file: str, *, count: int, start: datetime, as_json: bool) -> None:
    """Show when the items of a crontab file fire next, in order.

    Times are in UTC; an item with a time zone has its local time too.
    """
    times = ((minute, item) for minute, items in agenda(read_crontab(file), start) for item in items)
    rows = [_fire(minute, item) for minute, item in islice(times, count)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        local = f"  ({row['local']} {row['tz']})" if row["tz"] else ""
        click.echo(f"{row['at']}  {row['identifier']}{local}")
    if not rows:
        click.echo("nothing fires")


@command.command()
@database_url_option()
@schema_option
@crontab_option
@_app_option
@_json_option
@debug_option
def known(database_url: URL, schema: str, *, crontab: str | None, apps: tuple[str, ...], as_json: bool) -> None:
    """Show what the database knows of cron items.

    For each identifier: since when it has been known, the minute of its last job, and, if it is in the crontab or the
    application, its next.
    """
    declared = () if not apps else load_apps(apps).cron_items
    items = {item.identifier: item for item in (*load_crontab(crontab), *declared)}
    now = SystemClock().now()
    rows = [_known(entry, items, now) for entry in anyio.run(_all_known, database_url, schema)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        _print_table(("identifier", "known since", "last execution", "next"), [list(row.values()) for row in rows])


async def _all_known(url: URL, schema: str) -> Sequence[KnownCrontab]:
    async with connected(url) as engine:
        await check_schema(engine, schema=schema, as_="reader")
        crontabs = KnownCrontabs(engine, schema)
        try:
            return await crontabs.all()
        finally:
            await crontabs.disconnect()


def _fire(minute: datetime, item: CronItem) -> dict[str, Any]:
    return {
        "at": _text(minute),
        "identifier": item.identifier,
        "task": item.task,
        "tz": item.tz,
        "local": None if item.tz is None else item.local(minute).isoformat(timespec="minutes"),
    }


def _known(entry: KnownCrontab, items: Mapping[str, CronItem], now: datetime) -> dict[str, str | None]:
    item = items.get(entry.identifier)
    return {
        "identifier": entry.identifier,
        "known_since": _text(entry.known_since),
        "last_execution": _text(entry.last_execution),
        "next": None if item is None else _text(next(item.fires(now), None)),
    }


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str | None]]) -> None:
    table = [list(head), *([cell or "-" for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
