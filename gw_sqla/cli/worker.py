"""``worker``: run the jobs of an application until a signal, or once."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import anyio
import click
from sqlalchemy import URL

from gw_sqla.cli.application import load_apps, load_crontab
from gw_sqla.cli.engine import connected
from gw_sqla.cli.options import (
    EXIT_CODES,
    Invocation,
    app_option,
    crontab_option,
    database_url_option,
    debug_option,
    option,
    schema_option,
)
from gw_sqla.cli.supervisor_link import Lifeline
from gw_sqla.errors import ConfigurationError
from gw_sqla.execution.task_registry import TaskRegistry
from gw_sqla.runner import Runner
from gw_sqla.schema.check import check_schema
from gw_sqla.schema.migrations import migrate
from gw_sqla.settings import RunnerSettings
from gw_sqla.worker.worker_pool import RunCounts

__all__ = ["command"]

F = TypeVar("F", bound=Callable[..., Any])

log = logging.getLogger(__name__)

_DEFAULTS = RunnerSettings()
_LEVELS = ("debug", "info", "warning", "error")


def _seconds(_ctx: click.Context, _parameter: click.Parameter, value: float) -> timedelta:
    try:
        return timedelta(seconds=value)
    except (ValueError, OverflowError) as error:  # nan, inf and the like
        raise click.BadParameter(f"{value} is not a number of seconds that can be waited") from error


def _duration(name: str, default: timedelta, text: str) -> Callable[[F], F]:
    """Declare an option in seconds."""
    seconds = default.total_seconds()
    return option(name, type=float, default=seconds, callback=_seconds, metavar="SECONDS", help=text)


@click.command(epilog=EXIT_CODES)
@app_option
@database_url_option()
@schema_option
@option("--once", is_flag=True, help="Run what is ready, print how many runs completed and failed, and end.")
@option("--concurrency", type=int, default=_DEFAULTS.concurrency, metavar="N", help="How many jobs run at once.")
@option(
    "--prefetch",
    type=int,
    default=_DEFAULTS.prefetch,
    metavar="N",
    help="How many more jobs to claim ahead; for many short jobs, 500 for example.",
)
@option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="How many worker processes to run, each with all the options; more than one core needs more than one.",
)
@option("--backend", type=click.Choice(["asyncio", "trio"]), default="asyncio", help="The event loop.")
@option("--uvloop", is_flag=True, help="Run asyncio on uvloop, of the extra gw-sqla[uvloop].")
@option("--migrate", "migrate_first", is_flag=True, help="Create, adopt or upgrade the schema first.")
@_duration("--poll-interval", _DEFAULTS.poll_interval, "How often to look for due jobs when no notification comes.")
@_duration(
    "--grace-period",
    _DEFAULTS.grace_period,
    "How long running jobs may go on after a signal; then they are cancelled and failed.",
)
@_duration(
    "--heartbeat-interval",
    _DEFAULTS.heartbeat_interval,
    "How often to say that this worker is alive.",
)
@_duration(
    "--heartbeat-threshold",
    _DEFAULTS.heartbeat_threshold,
    "After how long without a heartbeat others take it for dead.",
)
@_duration("--sweep-interval", _DEFAULTS.sweep_interval, "How often to look for dead workers.")
@_duration(
    "--recovery-delay",
    _DEFAULTS.recovery_delay,
    "How long a dead worker's jobs wait before they are run again.",
)
@option(
    "--transaction-pooler",
    is_flag=True,
    help="The database is behind a pooler in transaction mode (PgBouncer): poll, keep nothing in sessions.",
)
@option("--use-local-time", is_flag=True, help="Let this machine's clock, not the database's, decide what is due.")
@option(
    "--forbidden-flag",
    "forbidden_flags",
    multiple=True,
    metavar="FLAG",
    help="Leave jobs with this flag alone; can be repeated (in the variable: separated by spaces).",
)
@crontab_option
@option("--log-level", type=click.Choice(_LEVELS, case_sensitive=False), default="info", help="What to log.")
@debug_option
@click.pass_obj
def command(
    invocation: Invocation,
    apps: tuple[str, ...],
    database_url: URL,
    schema: str,
    *,
    once: bool,
    concurrency: int,
    prefetch: int,
    processes: int,
    backend: str,
    uvloop: bool,
    migrate_first: bool,
    poll_interval: timedelta,
    grace_period: timedelta,
    heartbeat_interval: timedelta,
    heartbeat_threshold: timedelta,
    sweep_interval: timedelta,
    recovery_delay: timedelta,
    transaction_pooler: bool,
    use_local_time: bool,
    forbidden_flags: tuple[str, ...],
    crontab: str | None,
    log_level: str,
) -> None:
    """Run the jobs of an application.

    Works until SIGINT, SIGTERM, SIGHUP or SIGUSR2: then no more jobs are claimed, those that run may end
    within the grace period, and the exit code is 0. A second signal ends the grace period. Jobs that fail
    are tried again later and do not change the exit code. Log lines go to standard error.

    With several processes, one that dies is replaced. Signals go to their supervisor, the process that was started.
    """
    lifeline = Lifeline.inherited()
    _start_log(log_level, several=processes > 1)
    _require_backend(backend, uvloop=uvloop)
    settings = RunnerSettings(
        schema=schema,
        concurrency=concurrency,
        prefetch=prefetch,
        poll_interval=poll_interval,
        grace_period=grace_period,
        heartbeat_interval=heartbeat_interval,
        heartbeat_threshold=heartbeat_threshold,
        sweep_interval=sweep_interval,
        recovery_delay=recovery_delay,
        transaction_pooler=transaction_pooler,
        use_local_time=use_local_time,
        forbidden_flags=forbidden_flags,
        crontab=tuple(load_crontab(crontab)),
    )
    with nullcontext() if lifeline is None else lifeline.reporting(debug=invocation.debug):
        if processes > 1 and lifeline is None:
            _supervise(invocation.arguments, processes, database_url, schema, once=once, migrate_first=migrate_first)
            return
        work = partial(_work, database_url, load_apps(apps), settings, once=once, migrate_first=migrate_first)
        anyio.run(
            partial(work, lifeline=lifeline), backend=backend, backend_options={"use_uvloop": True} if uvloop else None
        )


async def _work(
    url: URL,
    tasks: TaskRegistry,
    settings: RunnerSettings,
    *,
    once: bool,
    migrate_first: bool,
    lifeline: Lifeline | None,
) -> None:
    # A connection for each job's own session, and room to open the worker's own in.
    room = settings.concurrency + 2
    async with connected(url, pool_size=room, transaction_pooler=settings.transaction_pooler) as engine:
        runner = Runner(engine, tasks, settings)
        if migrate_first and lifeline is None:
            log.info("%s", await migrate(engine, schema=settings.schema))
        async with nullcontext() if lifeline is None else lifeline.obeyed_by(runner):
            if once:
                if settings.crontab:
                    log.info("the crontab is not scheduled with --once")
                counts = await runner.run_once()
                _print_counts(counts) if lifeline is None else lifeline.report(counts)
            else:
                await runner.run()


def _supervise(arguments: Sequence[str], count: int, url: URL, schema: str, *, once: bool, migrate_first: bool) -> None:
    from gw_sqla.cli.supervisor import supervise

    anyio.run(_prepare, url, schema, migrate_first)
    counts, error = anyio.run(partial(supervise, arguments, count, once=once))
    if once:
        _print_counts(counts)
    if error is not None:
        raise error


async def _prepare(url: URL, schema: str, migrate_first: bool) -> None:
    """Look once for what would stand in every worker process's way."""
    async with connected(url, pool_size=1) as engine:
        if migrate_first:
            log.info("%s", await migrate(engine, schema=schema))
        await check_schema(engine, schema=schema)


def _print_counts(counts: RunCounts) -> None:
    click.echo(counts)


def _start_log(level: str, *, several: bool) -> None:
    origin = "[%(process)d] %(name)s" if several else "%(name)s"
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format=f"%(asctime)s %(levelname)-7s {origin}: %(message)s"
    )


def _require_backend(backend: str, *, uvloop: bool) -> None:
    if backend == "trio" and not importlib.util.find_spec("trio"):
        raise ConfigurationError("--backend trio needs the extra: pip install 'gw-sqla[trio]'")
    if uvloop and backend == "trio":
        raise ConfigurationError("--uvloop is an event loop of asyncio: leave it out with --backend trio")
    if uvloop and not importlib.util.find_spec("uvloop"):
        raise ConfigurationError("--uvloop needs the extra: pip install 'gw-sqla[uvloop]'")
