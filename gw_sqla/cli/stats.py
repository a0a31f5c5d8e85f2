"""``stats``: how many jobs are in each state, who works; once, or again and again."""

from __future__ import annotations

import json
import sys

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Admin, Rates, ScanLimits
from gw_sqla.cli.listing import json_option, print_json
from gw_sqla.cli.looking import looking, search_option
from gw_sqla.cli.options import SecondsRange, database_url_option, debug_option, schema_option
from gw_sqla.cli.snapshot import Snapshot, look
from gw_sqla.types import JobState

__all__ = ["command"]

_COLORS = {JobState.FAILED: "red", JobState.RETRYING: "yellow"}


@click.command()
@database_url_option()
@schema_option
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C; with what happens in a second.")
@click.option("--every", type=SecondsRange(0.1, 3600), default=2.0, metavar="SECONDS", help="With --watch: how often.")
@click.option(
    "--most", type=click.IntRange(1, 10_000_000), default=100_000, metavar="N", help="Count each state up to here."
)
@search_option
@json_option
@debug_option
def command(
    database_url: URL, schema: str, *, watch: bool, every: float, most: int, limits: ScanLimits, as_json: bool
) -> None:
    """Count jobs by state, and workers.

    A count with a + is a lower bound. With --watch and --json each look is a line.
    """
    try:
        anyio.run(_run, database_url, schema, Admin(schema, limits=limits), watch, every, most, as_json)
    except KeyboardInterrupt:
        if not watch:
            raise


async def _run(url: URL, schema: str, admin: Admin, watch: bool, every: float, most: int, as_json: bool) -> None:
    before: Snapshot | None = None
    async with looking(url, schema) as sessions:
        while True:
            async with sessions() as session:
                seen = await look(session, admin, most)
            now = seen.turnover.since(before.turnover) if before else None
            _print(seen, now, watch=watch, as_json=as_json)
            if not watch:
                return
            before = seen
            await anyio.sleep(every)


def _print(seen: Snapshot, now: Rates | None, *, watch: bool, as_json: bool) -> None:
    if as_json:
        record = {
            "states": {state.value: count.number for state, count in seen.states.items()},
            "is_exact": all(count.is_exact for count in seen.states.values()),
            "workers": len(seen.alive),
            "dead_workers": len(seen.workers) - len(seen.alive),
            "slots": seen.slots,
            "added_per_second": None if now is None else round(now.added, 3),
            "gone_per_second": None if now is None else round(now.gone, 3),
        }
        if watch:
            click.echo(json.dumps(record))
            sys.stdout.flush()
        else:
            print_json(record)
        return
    if watch:
        click.clear()  # on a terminal
    for state, count in seen.states.items():
        number = f"{count!s:>12}"
        color = _COLORS.get(state) if count.number else None
        click.echo(f"{state:<10} {click.style(number, fg=color) if color else number}")
    dead = len(seen.workers) - len(seen.alive)
    told = f", {dead} dead" if dead else ""
    click.echo(f"{'workers':<10} {len(seen.alive):>12}{told}, {seen.slots} slots")
    if now is not None:
        click.echo(f"{'a second':<10} {now.added:>12,.1f} added, {now.gone:,.1f} gone")
