"""``worker``: run the jobs of an application until a signal, or once."""

from __future__ import annotations

import gc
import importlib.util
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias

import anyio
import click
from click.core import ParameterSource
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.application import Application
from gw_sqla.cli.application import load_application, load_crontab
from gw_sqla.cli.engine import connected
from gw_sqla.cli.log_setup import set_up_log
from gw_sqla.cli.monitored import monitored
from gw_sqla.cli.options import EXIT_CODES, Invocation
from gw_sqla.cli.supervised_http import inherited_socket
from gw_sqla.cli.supervisor_link import Lifeline
from gw_sqla.cli.worker_options import WorkerCommand, worker_options
from gw_sqla.errors import ConfigurationError
from gw_sqla.runner import Runner
from gw_sqla.schema.check import check_schema
from gw_sqla.schema.migrations import migrate
from gw_sqla.settings import RunnerSettings
from gw_sqla.worker.worker_pool import RunCounts

__all__ = ["command"]

log = logging.getLogger(__name__)

_YOUNG = 10_000
"""After so many new objects the garbage collector looks. It finds no garbage of ours, and after 700, Python's default,
it looked at claimed jobs that wait, again and again: up to a tenth of a worker's time with 500 of them.
"""

Migration: TypeAlias = Callable[[AsyncEngine], Awaitable[None]]


@click.command(cls=WorkerCommand, epilog=EXIT_CODES)
@worker_options
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    apps: tuple[str, ...],
    database_url: URL,
    *,
    folder: str | None,
    only_tasks: tuple[str, ...],
    not_tasks: tuple[str, ...],
    once: bool,
    processes: int,
    backend: str,
    uvloop: bool,
    migrate_first: bool,
    lock_timeout: timedelta | None,
    crontab: str | None,
    log_level: str,
    log_format: str,
    no_flags: bool,
    http: str | None,
    **settings: Any,
) -> None:
    """Run the jobs of an application, or of a folder of executable files.

    Works until SIGINT, SIGTERM, SIGHUP or SIGUSR2: then no more jobs are claimed, those that run may end
    within the grace period, and the exit code is 0. A second signal ends the grace period. Jobs that fail
    are tried again later and do not change the exit code. Log lines go to standard error.

    With several processes, one that dies is replaced. Signals go to their supervisor, the process that was started.
    """
    lifeline, socket = Lifeline.inherited(), inherited_socket()
    set_up = partial(
        set_up_log,
        log_level,
        log_format,
        with_process=processes > 1,
        level_is_given=_is_given("log_level"),
        format_is_given=_is_given("log_format"),
    )
    _require_backend(backend, uvloop=uvloop)
    if no_flags:
        if settings["flag_allowlist"] is not None:
            raise ConfigurationError("--no-flags: is an empty allowlist; leave it out, or --flag-allowlist")
        settings["flag_allowlist"] = ()
    runner_settings = RunnerSettings(crontab=tuple(load_crontab(crontab)), **settings)
    schema = runner_settings.schema
    migration = partial(_migrate, schema, lock_timeout) if migrate_first else None
    with nullcontext() if lifeline is None else lifeline.reporting(debug=invocation.debug):
        if processes > 1 and lifeline is None:
            set_up()
            _supervise(invocation.arguments, processes, database_url, schema, once=once, migration=migration, http=http)
            return
        gc.set_threshold(_YOUNG)  # an application that sets another one, when it is imported, has it
        application = load_application(apps, folder, only=only_tasks, without=not_tasks)
        set_up()
        if application.settings is not None:
            runner_settings = _over(application.settings, runner_settings, click.get_current_context())
        work = partial(_work, database_url, application, runner_settings, once=once, migration=migration)
        work = partial(work, http=http if lifeline is None else socket)
        anyio.run(
            partial(work, lifeline=lifeline), backend=backend, backend_options={"use_uvloop": True} if uvloop else None
        )


def _is_given(name: str) -> bool:
    """Whether the command line, or the environment, says what an option is."""
    return click.get_current_context().get_parameter_source(name) is not ParameterSource.DEFAULT


def _over(settings: RunnerSettings, given: RunnerSettings, context: click.Context) -> RunnerSettings:
    """Return the application's settings, but what the command line or the environment gives goes before them."""
    if settings.schema != given.schema:
        raise ConfigurationError(
            f"--app: its settings say schema={settings.schema!r}, but the schema is the command line's, which is "
            f"{given.schema!r}: leave it out there, and give --schema or GRAPHILE_WORKER_SCHEMA"
        )
    names = {field.name for field in fields(RunnerSettings)} & context.params.keys() - {"schema", "crontab"}
    told = {name for name in names if _is_given(name)}
    if context.params.get("no_flags"):
        told.add("flag_allowlist")
    return replace(
        settings, crontab=(*settings.crontab, *given.crontab), **{name: getattr(given, name) for name in told}
    )


async def _work(
    url: URL,
    application: Application,
    settings: RunnerSettings,
    *,
    once: bool,
    migration: Migration | None,
    lifeline: Lifeline | None,
    http: str | None,
) -> None:
    # A connection for each job's session, and some for what handlers open beside it.
    room = settings.concurrency + 2
    async with (
        connected(url, pool_size=room, keeps_statements=not settings.transaction_pooler) as engine,
        nullcontext(application.observers)
        if http is None
        else monitored(http, application, engine, settings) as observers,
    ):
        runner = Runner(
            engine,
            application.tasks,
            settings,
            observers=observers,
            interceptors=application.interceptors,
        )
        if migration is not None and lifeline is None:
            await migration(engine)
        async with nullcontext() if lifeline is None else lifeline.obeyed_by(runner):
            if once:
                if settings.crontab:
                    log.info("the crontab is not scheduled with --once")
                counts = await runner.run_once()
                _print_counts(counts) if lifeline is None else lifeline.report(counts)
            else:
                await runner.run()


def _supervise(
    arguments: Sequence[str],
    count: int,
    url: URL,
    schema: str,
    *,
    once: bool,
    migration: Migration | None,
    http: str | None,
) -> None:
    from gw_sqla.cli.supervisor import supervise

    anyio.run(_prepare, url, schema, migration)
    counts, error = anyio.run(partial(supervise, arguments, count, once=once, http=http))
    if once:
        _print_counts(counts)
    if error is not None:
        raise error


async def _prepare(url: URL, schema: str, migration: Migration | None) -> None:
    """Look once for what would stand in every worker process's way."""
    async with connected(url, pool_size=1) as engine:
        if migration is not None:
            await migration(engine)
        await check_schema(engine, schema=schema)


async def _migrate(schema: str, lock_timeout: timedelta | None, engine: AsyncEngine) -> None:
    log.info("%s", await migrate(engine, schema=schema, lock_timeout=lock_timeout))


def _print_counts(counts: RunCounts) -> None:
    click.echo(counts)


def _require_backend(backend: str, *, uvloop: bool) -> None:
    if backend == "trio" and not importlib.util.find_spec("trio"):
        raise ConfigurationError("--backend trio needs the extra: pip install 'gw-sqla[trio]'")
    if uvloop and backend == "trio":
        raise ConfigurationError("--uvloop is an event loop of asyncio: leave it out with --backend trio")
    if uvloop and not importlib.util.find_spec("uvloop"):
        raise ConfigurationError("--uvloop needs the extra: pip install 'gw-sqla[uvloop]'")
