"""What changes jobs: ``jobs retry``, ``complete``, ``fail``, ``reschedule``, ``edit``, ``copy``, ``remove``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import click

from gw_sqla.admin import Complete, EditPayload, Fail, Remove, Reschedule, Retry, RunCopy
from gw_sqla.cli.changing import Change, change_jobs, change_options
from gw_sqla.cli.job_input import parse_time, read_payload
from gw_sqla.cli.key_removal import remove_by_key
from gw_sqla.cli.looking import WORDS
from gw_sqla.errors import InvalidJobError

__all__ = ["ACTIONS"]


def _when(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | timedelta | None:
    try:
        return None if value is None else parse_time(value)
    except InvalidJobError as error:
        raise click.BadParameter(error.problem) from error


_run_at_option = click.option(
    "--run-at", callback=_when, metavar="TIME", help="When: 2030-01-31T08:00:00Z, or from now on, 10m or 1h30m."
)


@click.command(context_settings=WORDS)
@_run_at_option
@change_options
def retry(words: tuple[str, ...], run_at: datetime | timedelta | None, **given: Any) -> None:
    """Let jobs run again, now or at a time, with all their attempts; also those that failed for good.

    Jobs that a worker has are left out, and named. So it is with all that changes jobs: they are done by the thousand,
    and where the database goes away it says what was done and how to go on. The exit code is 1 if one that was named by
    its id was left out.
    """
    change_jobs(words, Change("retried", Retry, run_at), **given)


@click.command(context_settings=WORDS)
@change_options
def complete(words: tuple[str, ...], **given: Any) -> None:
    """Delete jobs as if they had succeeded; asks first."""
    change_jobs(words, Change("completed", lambda _: Complete(), question="Complete"), **given)


@click.command(context_settings=WORDS)
@click.option("--key", metavar="KEY", help="The job with this key, also one that runs: it is not tried again.")
@change_options
def remove(words: tuple[str, ...], key: str | None, **given: Any) -> None:
    """Delete jobs, for they are not wanted; asks first.

    With --key the one that has the key, as remove_job does: where a worker has it, it loses its key and its further
    attempts, and finishes. The exit code is 1 if no job has the key.
    """
    if key is not None:
        remove_by_key(key, words, **given)
        return
    change_jobs(words, Change("removed", lambda _: Remove(), question="Remove"), **given)


@click.command(context_settings=WORDS)
@click.option("--message", metavar="TEXT", help="Becomes last_error; else it is: Manually marked as failed.")
@change_options
def fail(words: tuple[str, ...], message: str | None, **given: Any) -> None:
    """Fail jobs for good: they stay, and are not run; asks first. jobs retry brings them back."""
    action = Fail(message)
    change_jobs(words, Change("failed", lambda _: action, question="Fail"), **given)


@click.command(context_settings=WORDS)
@_run_at_option
@click.option("--priority", type=click.IntRange(-32768, 32767), metavar="N", help="Lower runs sooner.")
@click.option("--max-attempts", type=click.IntRange(1, 32767), metavar="N", help="How many attempts it gets.")
@change_options
def reschedule(
    words: tuple[str, ...],
    run_at: datetime | timedelta | None,
    priority: int | None,
    max_attempts: int | None,
    **given: Any,
) -> None:
    """Change when and how jobs run; what is not given stays."""
    if run_at is None and priority is None and max_attempts is None:
        raise click.UsageError("nothing to change: give --run-at, --priority or --max-attempts")
    change = Change(
        "rescheduled", lambda at: Reschedule(run_at=at, priority=priority, max_attempts=max_attempts), run_at
    )
    change_jobs(words, change, **given)


@click.command(context_settings=WORDS)
@click.option("--payload", metavar="JSON", help="The payload, or - to read it from standard input.")
@click.option("--payload-file", metavar="FILE", help="A file with the payload.")
@change_options
def edit(words: tuple[str, ...], payload: str | None, payload_file: str | None, **given: Any) -> None:
    """Give waiting or failed jobs another payload; asks first, as the old one is gone then."""
    if (payload is None) == (payload_file is None):
        raise click.UsageError("give the payload: --payload or --payload-file")
    action = EditPayload(read_payload(payload, payload_file))
    change_jobs(words, Change("edited", lambda _: action, question="Edit"), **given)


@click.command(context_settings=WORDS)
@change_options
def copy(words: tuple[str, ...], **given: Any) -> None:
    """Add a copy of each job, without its key, due now. The jobs stay as they are, running ones too."""
    change_jobs(words, Change("copied", lambda _: RunCopy()), **given)


ACTIONS = (retry, complete, fail, reschedule, edit, copy, remove)
