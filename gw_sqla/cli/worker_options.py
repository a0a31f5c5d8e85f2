"""The options of ``worker``, in the sections in which its help shows them; those that are settings have their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import click

from gw_sqla.cli.http_option import http_option
from gw_sqla.cli.options import (
    app_option,
    crontab_option,
    database_url_option,
    debug_option,
    lock_timeout_option,
    log_format_option,
    log_level_option,
    option,
    schema_option,
)
from gw_sqla.settings import RunnerSettings

__all__ = ["WorkerCommand", "worker_options"]

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]

_DEFAULTS = RunnerSettings()


def _seconds(ctx: click.Context, parameter: click.Parameter, value: float) -> timedelta | None:
    if value == 0 and parameter.name == "blocking_threshold":
        return None
    try:
        return timedelta(seconds=value)
    except (ValueError, OverflowError) as error:  # nan, inf and the like
        raise click.BadParameter(f"{value} is not a number of seconds that can be waited", ctx, parameter) from error


def _seconds_or_none(ctx: click.Context, parameter: click.Parameter, value: float) -> timedelta | None:
    return None if value == 0 else _seconds(ctx, parameter, value)


def _setting(name: str, metavar: str, text: str) -> Decorator[Any]:
    """Declare the option of a setting, with the setting's default: a number, or a duration in seconds."""
    default = getattr(_DEFAULTS, name)
    flag = f"--{name.replace('_', '-')}"
    if isinstance(default, bool):
        return option(flag, is_flag=True, help=text)
    if isinstance(default, timedelta):
        return option(
            flag, type=float, default=default.total_seconds(), callback=_seconds, metavar="SECONDS", help=text
        )
    return option(flag, type=int, default=default, metavar=metavar, help=text)


_SECTIONS: dict[str, Sequence[Decorator[Any]]] = {
    "What it runs": [
        app_option(required=False),
        option(
            "--tasks",
            "folder",
            metavar="FOLDER",
            help="A folder of executable files in any language, each a task, as Graphile Worker's; beside --app or "
            "alone.",
        ),
        option(
            "--only-task",
            "only_tasks",
            multiple=True,
            metavar="NAME",
            help="Run this task of those that there are, and no other; can be repeated (in the variable: separated "
            "by spaces).",
        ),
        option(
            "--not-task",
            "not_tasks",
            multiple=True,
            metavar="NAME",
            help="Leave this task to other workers; can be repeated (in the variable: separated by spaces).",
        ),
        option("--once", is_flag=True, help="Run what is ready, print how many runs completed and failed, and end."),
        option(
            "--forbidden-flag",
            "forbidden_flags",
            multiple=True,
            metavar="FLAG",
            help="Leave jobs with this flag alone; can be repeated (in the variable: separated by spaces).",
        ),
        option(
            "--accepted-flag",
            "accepted_flags",
            multiple=True,
            metavar="FLAG",
            help="Run only jobs with this flag, or another of these; can be repeated (in the variable: separated by "
            "spaces).",
        ),
        option(
            "--flag-allowlist",
            "flag_allowlist",
            multiple=True,
            metavar="FLAG",
            callback=lambda _context, _parameter, value: value or None,
            help="Leave jobs with any other flag than these alone; can be repeated (in the variable: separated by "
            "spaces).",
        ),
        option("--no-flags", "no_flags", is_flag=True, help="Run only jobs without flags: an empty allowlist."),
        crontab_option,
        _setting("crontab_catch_up", "", "How late the job of a cron item is still added, after a pause of any kind."),
    ],
    "Database": [
        database_url_option(),
        schema_option,
        option("--migrate", "migrate_first", is_flag=True, help="Create, adopt or upgrade the schema first."),
        lock_timeout_option("With --migrate: "),
        _setting(
            "transaction_pooler",
            "",
            "The database is behind a pooler in transaction mode (PgBouncer): poll, keep nothing in sessions.",
        ),
        _setting("use_local_time", "", "Let this machine's clock, not the database's, decide what is due."),
    ],
    "How much at once, and how": [
        _setting("concurrency", "N", "How many jobs run at once."),
        _setting("prefetch", "N", "How many more jobs to claim ahead; for many short jobs, 500 for example."),
        option(
            "--max-payload-size",
            type=int,
            default=_DEFAULTS.max_payload_size,
            callback=lambda _context, _parameter, value: value or None,
            metavar="BYTES",
            help="The largest payload that is fetched; 0 is off.",
        ),
        option(
            "--oversized-jobs",
            type=click.Choice(["fail", "leave"]),
            default=_DEFAULTS.oversized_jobs,
            help="Whether a job with a larger payload fails, or is left to other workers.",
        ),
        option(
            "--lease-after",
            type=float,
            default=0,
            callback=_seconds_or_none,
            metavar="SECONDS",
            help="Hold jobs by row locks alone for so long, before they get a lease; for many short jobs, 0.1 for "
            "example. 0 is off.",
        ),
        _setting("prefetch_ttl", "", "How long a job that was claimed ahead may wait; then it goes back."),
        option(
            "--processes",
            type=click.IntRange(min=1),
            default=1,
            metavar="N",
            help="How many worker processes to run, each with all the options; more than one core needs more than one.",
        ),
        option("--backend", type=click.Choice(["asyncio", "trio"]), default="asyncio", help="The event loop."),
        option("--uvloop", is_flag=True, help="Run asyncio on uvloop, of the extra gw-sqla[uvloop]."),
        _setting("poll_interval", "", "How often to look for due jobs when no notification comes."),
    ],
    "Stopping": [
        _setting(
            "grace_period", "", "How long running jobs may go on after a signal; then they are cancelled and failed."
        ),
        _setting("flush_timeout", "", "How long the last outcomes may take to be written at the very end."),
    ],
    "When a worker dies": [
        _setting("heartbeat_interval", "", "How often to say that this worker is alive."),
        _setting("heartbeat_threshold", "", "After how long without a heartbeat others take it for dead."),
        _setting("sweep_interval", "", "How often to look for dead workers."),
        _setting("recovery_delay", "", "How long a dead worker's jobs wait before they are run again."),
    ],
    "Cleaning up": [
        option(
            "--cleanup-interval",
            type=float,
            default=0,
            callback=_seconds_or_none,
            metavar="SECONDS",
            help="How often to delete unused tasks and queues, one worker for all that do; 3600 for example, 0 is off.",
        ),
        option(
            "--cleanup-failed-after",
            type=float,
            default=0,
            callback=_seconds_or_none,
            metavar="SECONDS",
            help="Delete jobs that have failed permanently so long ago, too; 0 keeps them.",
        ),
        option(
            "--keep-task",
            "cleanup_keep_tasks",
            multiple=True,
            metavar="NAME",
            help="Keep this task though no job has it, as a Node or Rust worker's; can be repeated (in the variable: "
            "separated by spaces).",
        ),
    ],
    "What it says": [
        http_option(),
        log_level_option,
        log_format_option,
        _setting(
            "blocking_threshold", "", "How long a handler may block the event loop until the log says so; 0 is off."
        ),
        debug_option,
    ],
}


def worker_options(function: F) -> F:
    """Declare all of them."""
    for declare in reversed([declare for section in _SECTIONS.values() for declare in section]):
        function = declare(function)
    return function


class WorkerCommand(click.Command):
    """Shows its options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write them into the help."""
        records = [record for parameter in self.get_params(ctx) if (record := parameter.get_help_record(ctx))]
        for title, section in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(records[: len(section)])
            records = records[len(section) :]
        with formatter.section("Help"):
            formatter.write_dl(records)
