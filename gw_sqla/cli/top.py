"""``top``: a live view on a terminal. What it shows is `gw_sqla.cli.live_view`'s.

The view is made with Textual: tables in which one moves, keys, a test kit that needs no terminal. With Rich, which
is the half of it that prints, reading keys and moving in tables would be our own, for each kind of terminal. It is an
extra, since workers do not need it.
"""

from __future__ import annotations

import importlib.util
import sys
from datetime import timedelta

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Admin, ScanLimits
from gw_sqla.cli.looking import actor_option, looking
from gw_sqla.cli.options import SecondsRange, database_url_option, debug_option, schema_option

__all__ = ["command"]

_LIMITS = ScanLimits(1_000_000, timedelta(seconds=1))
"""Of each question: a view that lives shows what it has, with a + where there may be more."""


@click.command()
@database_url_option()
@schema_option
@click.option("--every", type=SecondsRange(0.2, 3600), default=2.0, metavar="SECONDS", help="How often it looks.")
@actor_option
@debug_option
def command(database_url: URL, schema: str, *, every: float, actor: str | None) -> None:
    """Watch states, rates, workers, running jobs and failures.

    Keys: the arrows and Tab move, r retries the failures that are chosen, p pauses or resumes their task,
    f freezes the view, q or Ctrl-C ends. Needs the extra:
    pip install 'gw-sqla[top]'
    """
    if importlib.util.find_spec("textual") is None:
        raise click.UsageError("top needs the extra: pip install 'gw-sqla[top]'")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("top needs a terminal: for programs there is stats --watch --json")
    anyio.run(_run, database_url, schema, every, actor)


async def _run(url: URL, schema: str, every: float, actor: str | None) -> None:
    from gw_sqla.cli.live_view import LiveView

    async with looking(url, schema) as sessions:
        await LiveView(sessions, Admin(schema, limits=_LIMITS), every, actor).run_async()
