"""What changes jobs: ``jobs retry``, ``complete``, ``fail``, ``reschedule``, ``edit``, ``copy``, ``remove``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import (
    Action,
    Admin,
    Complete,
    EditPayload,
    Fail,
    JobFilter,
    Jobs,
    LeftOut,
    Preview,
    Remove,
    Reschedule,
    Retry,
    RunCopy,
    ScanLimits,
    WhyLeftOut,
)
from gw_sqla.admin.chunks import Tally, act_on_all, jobs_were
from gw_sqla.cli.adding import database_time
from gw_sqla.cli.job_columns import JOB_COLUMNS
from gw_sqla.cli.job_input import at_time, parse_time, read_payload
from gw_sqla.cli.listing import Format, as_record, json_option, print_json, print_list, printable
from gw_sqla.cli.looking import WORDS, actor_option, filter_of, looking, search_option, words_argument
from gw_sqla.cli.options import database_url_option, debug_option, schema_option
from gw_sqla.cli.terminal import confirm, progress, yes_option
from gw_sqla.errors import InvalidJobError

__all__ = ["ACTIONS"]

F = TypeVar("F", bound=Callable[..., Any])

_EVERY_JOB = "id:>=0"
_MOST_COUNTED = 10_000_000
_NAMED = 20
"""How many of the jobs that were left out are named."""


@dataclass(frozen=True)
class _Change:
    """An action: the word for what was done, what to make of the time that was given, whether to ask first."""

    done: str
    make: Callable[[datetime | None], Action]
    run_at: datetime | timedelta | None = None
    question: str | None = field(default=None)


def _when(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | timedelta | None:
    try:
        return None if value is None else parse_time(value)
    except InvalidJobError as error:
        raise click.BadParameter(error.problem) from error


_run_at_option = click.option(
    "--run-at", callback=_when, metavar="TIME", help="When: 2030-01-31T08:00:00Z, or from now on, 10m or 1h30m."
)


def _action(command: F) -> F:
    """Declare what every action has: whose jobs, whether to ask, how to say what was done."""
    for decorate in (
        debug_option,
        json_option,
        search_option,
        actor_option,
        click.option("--cursor", metavar="TEXT", help="Go on where it ended, for the same jobs."),
        click.option("--dry-run", is_flag=True, help="Change nothing: say how many jobs it would be, and show ten."),
        yes_option,
        click.option("--all", "everything", is_flag=True, help="All jobs, without a filter."),
        schema_option,
        database_url_option(),
        words_argument,
    ):
        command = decorate(command)
    return command


@click.command(context_settings=WORDS)
@_run_at_option
@_action
def retry(words: tuple[str, ...], run_at: datetime | timedelta | None, **given: Any) -> None:
    """Let jobs run again, now or at a time, with all their attempts; also those that failed for good.

    Jobs that a worker has are left out, and named. So it is with all that changes jobs: they are done by the thousand,
    and where the database goes away it says what was done and how to go on. The exit code is 1 if one that was named by
    its id was left out.
    """
    _act(words, _Change("retried", Retry, run_at), **given)


@click.command(context_settings=WORDS)
@_action
def complete(words: tuple[str, ...], **given: Any) -> None:
    """Delete jobs as if they had succeeded; asks first."""
    _act(words, _Change("completed", lambda _: Complete(), question="Complete"), **given)


@click.command(context_settings=WORDS)
@_action
def remove(words: tuple[str, ...], **given: Any) -> None:
    """Delete jobs, for they are not wanted; asks first."""
    _act(words, _Change("removed", lambda _: Remove(), question="Remove"), **given)


@click.command(context_settings=WORDS)
@click.option("--message", metavar="TEXT", help="Becomes last_error; else it is: Manually marked as failed.")
@_action
def fail(words: tuple[str, ...], message: str | None, **given: Any) -> None:
    """Fail jobs for good: they stay, and are not run; asks first. jobs retry brings them back."""
    action = Fail(message)
    _act(words, _Change("failed", lambda _: action, question="Fail"), **given)


@click.command(context_settings=WORDS)
@_run_at_option
@click.option("--priority", type=click.IntRange(-32768, 32767), metavar="N", help="Lower runs sooner.")
@click.option("--max-attempts", type=click.IntRange(1, 32767), metavar="N", help="How many attempts it gets.")
@_action
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
    change = _Change(
        "rescheduled", lambda at: Reschedule(run_at=at, priority=priority, max_attempts=max_attempts), run_at
    )
    _act(words, change, **given)


@click.command(context_settings=WORDS)
@click.option("--payload", metavar="JSON", help="The payload, or - to read it from standard input.")
@click.option("--payload-file", metavar="FILE", help="A file with the payload.")
@_action
def edit(words: tuple[str, ...], payload: str | None, payload_file: str | None, **given: Any) -> None:
    """Give waiting or failed jobs another payload; asks first, as the old one is gone then."""
    if (payload is None) == (payload_file is None):
        raise click.UsageError("give the payload: --payload or --payload-file")
    action = EditPayload(read_payload(payload, payload_file))
    _act(words, _Change("edited", lambda _: action, question="Edit"), **given)


@click.command(context_settings=WORDS)
@_action
def copy(words: tuple[str, ...], **given: Any) -> None:
    """Add a copy of each job, without its key, due now. The jobs stay as they are, running ones too."""
    _act(words, _Change("copied", lambda _: RunCopy()), **given)


ACTIONS = (retry, complete, fail, reschedule, edit, copy, remove)


def _act(
    words: tuple[str, ...],
    change: _Change,
    *,
    database_url: URL,
    schema: str,
    everything: bool,
    yes: bool,
    dry_run: bool,
    cursor: str | None,
    actor: str | None,
    limits: ScanLimits,
    as_json: bool,
) -> None:
    if bool(words) == everything:
        raise click.UsageError("say which jobs: their ids, a filter, or --all (and not both)")
    jobs = _jobs(words)
    admin = Admin(schema, limits=limits)
    if dry_run or (change.question and not yes):
        seen = anyio.run(_preview, database_url, schema, admin, jobs)
        if dry_run:
            _print_preview(seen, change.done, as_json=as_json)
            return
        if not seen.count.number:
            raise click.ClickException("no jobs fit: nothing was done")
        if not as_json:
            print_list(seen.samples, JOB_COLUMNS, Format.TABLE, nothing="")
        confirm(f"{change.question} {_number(seen)}?", yes=yes)
    tally = Tally(change.done, cursor)
    anyio.run(_run, database_url, schema, admin, change, jobs, actor, tally)
    _print_tally(tally, as_json=as_json)
    if not isinstance(jobs, JobFilter) and tally.left_out:
        raise click.exceptions.Exit(1)


def _jobs(words: tuple[str, ...]) -> JobFilter | list[int]:
    """Return ids where nothing else was given, so that those that are gone can be named; else the filter."""
    if words and all(word.isdecimal() and word.isascii() for word in words):
        return [int(word) for word in words]
    return filter_of(words or (_EVERY_JOB,))


async def _preview(url: URL, schema: str, admin: Admin, jobs: Jobs) -> Preview:
    async with looking(url, schema) as sessions, sessions() as session:
        return await admin.preview(session, jobs, most=_MOST_COUNTED)


async def _run(
    url: URL, schema: str, admin: Admin, change: _Change, jobs: JobFilter | list[int], actor: str | None, tally: Tally
) -> None:
    async with looking(url, schema, as_="admin") as sessions:
        async with sessions() as session:
            at = at_time(change.run_at, await database_time(session))
            counted = await admin.count_jobs(session, jobs, most=_MOST_COUNTED) if isinstance(jobs, JobFilter) else None
        expected = len(jobs) if not isinstance(jobs, JobFilter) else counted.number if counted else 0
        with progress(change.done, expected) as advance, _told(tally):
            await act_on_all(sessions, admin, change.make(at), jobs, tally, actor=actor, advance=advance)


@contextmanager
def _told(tally: Tally) -> Iterator[None]:
    """Say, where the block ends by an error or an interruption, what is known of what was done before."""
    try:
        yield
    except BaseException:
        click.echo(tally.known, err=True)
        raise


def _number(seen: Preview) -> str:
    return "1 job" if str(seen.count) == "1" else f"{seen.count} jobs"


def _print_preview(seen: Preview, done: str, *, as_json: bool) -> None:
    if as_json:
        samples = [as_record(job, JOB_COLUMNS) for job in seen.samples]
        is_exact = seen.count.is_exact and seen.held.is_exact
        print_json({"count": seen.count.number, "held": seen.held.number, "is_exact": is_exact, "samples": samples})
        return
    print_list(seen.samples, JOB_COLUMNS, Format.TABLE, nothing="no jobs fit")
    held = f", but for {seen.held} that a worker has" if seen.held.number else ""
    click.echo(f"{_number(seen)} would be {done}{held}; nothing was done")


def _print_tally(tally: Tally, *, as_json: bool) -> None:
    if as_json:
        record: dict[str, object] = {
            tally.done: tally.changed,
            "left_out": {why.value: number for why, number in tally.left_out.items()},
            "examples": [
                {"id": one.job_id, "why": one.why.value, "locked_by": one.locked_by} for one in tally.examples
            ],
        }
        print_json(record | ({"copies": tally.copies} if tally.copies else {}))
        return
    click.echo(f"{jobs_were(tally.changed)} {tally.done}")
    if tally.copies:
        click.echo(f"the copies: {_named([str(job_id) for job_id in tally.copies], len(tally.copies))}")
    for why, number in tally.left_out.items():
        ids = [_with_owner(one) for one in tally.examples if one.why is why]
        click.echo(f"left out, {_WHY[why]}: {_named(ids, number)}", err=True)


_WHY = {
    WhyLeftOut.HELD: "a worker has it",
    WhyLeftOut.BUSY: "another transaction has it, try again",
    WhyLeftOut.GONE: "gone",
    WhyLeftOut.NO_TASK: "its task is gone",
}


def _with_owner(one: LeftOut) -> str:
    return str(one.job_id) if one.locked_by is None else f"{one.job_id} ({printable(one.locked_by)})"


def _named(names: list[str], number: int) -> str:
    shown = names[:_NAMED]
    more = f" and {number - len(shown):,} more" if number > len(shown) else ""
    return ", ".join(shown) + more
