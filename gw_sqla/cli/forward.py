"""``forward``: a worker that forwards jobs as a file says; ``forward check`` looks whether it can."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import anyio
import click
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.cli.engine import connected
from gw_sqla.cli.error_report import UnreachableError
from gw_sqla.cli.forward_lag import lag
from gw_sqla.cli.forward_patience import Patience
from gw_sqla.cli.forward_replay import replay
from gw_sqla.cli.log_setup import set_up_log
from gw_sqla.cli.options import (
    EXIT_CODES,
    SecondsRange,
    database_url_option,
    debug_option,
    log_format_option,
    log_level_option,
    option,
    schema_option,
)
from gw_sqla.database.event_loops import database_loop
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.errors import ConfigurationError, SinkUnavailableError
from gw_sqla.execution.sink import Sink
from gw_sqla.forwarding.configuration import Configuration, read_configuration
from gw_sqla.runner import Runner
from gw_sqla.settings import RunnerSettings

__all__ = ["command"]

_CHECK_SECONDS = 10

_config_option = option(
    "--config", metavar="FILE", default="forward.toml", help="What is forwarded where; docs/forwarding.md tells how."
)


@click.group(invoke_without_command=True, epilog=EXIT_CODES)
@_config_option
@database_url_option(required=False)
@schema_option
@option("--once", is_flag=True, help="Forward what is ready, print how many jobs completed and failed, and end.")
@option(
    "--give-up-after",
    type=SecondsRange(0, 86400),
    default=60.0,
    metavar="SECONDS",
    help="With --once: for how long a sink may be out of reach, before it ends with exit code 1.",
)
@option("--backend", type=click.Choice(["asyncio", "trio"]), default="asyncio", help="The event loop.")
@option(
    "--poll-interval",
    type=SecondsRange(0.001, 86400),
    default=2.0,
    metavar="SECONDS",
    help="How often to look for due jobs when no notification comes.",
)
@option(
    "--grace-period",
    type=SecondsRange(0, 86400),
    default=30.0,
    metavar="SECONDS",
    help="How long a confirmation is waited for after a signal.",
)
@option("--transaction-pooler", is_flag=True, help="The database is behind a pooler in transaction mode (PgBouncer).")
@log_level_option
@log_format_option
@debug_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    config: str,
    database_url: URL | None,
    *,
    once: bool,
    give_up_after: float,
    backend: str,
    poll_interval: float,
    grace_period: float,
    log_level: str,
    log_format: str,
    **settings: Any,
) -> None:
    """Forward jobs to Redis, RabbitMQ and others, as a file says; no Python needed.

    Works until SIGINT, SIGTERM, SIGHUP or SIGUSR2. Log lines go to standard error.
    """
    if ctx.invoked_subcommand is not None:
        return
    if database_url is None:
        raise click.UsageError("Missing option '--database-url', or the variable DATABASE_URL.", ctx)
    set_up_log(log_level, log_format, with_process=False)
    logging.getLogger("gw_sqla").setLevel(log_level.upper())
    _silence_clients()
    runner_settings = RunnerSettings(
        poll_interval=timedelta(seconds=poll_interval), grace_period=timedelta(seconds=grace_period), **settings
    )
    patience = give_up_after if once else None
    anyio.run(_work, database_url, read_configuration(config), runner_settings, patience, backend=backend)


command.add_command(lag)
command.add_command(replay)


def _silence_clients() -> None:
    """They tell each try to connect, as an error; and in their debug lines are bodies of messages."""
    logging.getLogger().setLevel(max(logging.getLogger().level, logging.INFO))
    for client in ("aiormq", "aio_pika", "aiokafka", "nats", "botocore", "aiobotocore"):
        logging.getLogger(client).setLevel(logging.CRITICAL)


@command.command()
@_config_option
@debug_option
def check(config: str) -> None:
    """Look whether the file is right, and connect to each sink in it. Needs no database; sends nothing."""
    _silence_clients()
    configuration = read_configuration(config)
    anyio.run(_check, configuration)
    click.echo(f"{config}: sinks: {len(configuration.sinks)}, tasks: {len(configuration.tasks)}; no errors")


async def _work(url: URL, configuration: Configuration, settings: RunnerSettings, patience: float | None) -> None:
    """Work; with ``patience``, in seconds, for one round."""
    async with connected(url, pool_size=1, keeps_statements=not settings.transaction_pooler) as engine:
        if patience is None:
            await Runner(engine, configuration.tasks, settings).run()
        else:
            await _work_once(engine, configuration, settings, patience)


async def _work_once(
    engine: AsyncEngine, configuration: Configuration, settings: RunnerSettings, seconds: float
) -> None:
    patience = Patience(seconds)
    runner = Runner(engine, configuration.tasks, settings, observers=[patience])
    async with anyio.create_task_group() as waiting:
        patience.begin(waiting, runner.stop)
        click.echo(await runner.run_once())
        waiting.cancel_scope.cancel()
    if patience.given_up is not None:
        raise UnreachableError(f"{patience.given_up}; what was not confirmed waits in the queue")


async def _check(configuration: Configuration) -> None:
    async with database_loop():
        for name, sink in configuration.sinks.items():
            await _check_sink(name, sink)
            click.echo(f"{name}: reached")


async def _check_sink(name: str, sink: Sink) -> None:
    try:
        with anyio.fail_after(_CHECK_SECONDS):
            await sink.open()
    except (SinkUnavailableError, OSError) as error:
        reason = f"no answer within {_CHECK_SECONDS} s" if type(error) is TimeoutError else error_text(error)
        raise UnreachableError(f"sink {name} cannot be reached: {reason}") from error
    except ConfigurationError as error:
        raise ConfigurationError(f"sink {name}: {error}") from error
    finally:
        with anyio.move_on_after(_CHECK_SECONDS, shield=True):
            await sink.close()
