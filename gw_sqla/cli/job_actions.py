"""What changes jobs: ``jobs retry``, ``complete``, ``fail``, ``reschedule``, ``edit``, ``remove``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Admin, JobFilter, ScanLimits
from gw_sqla.cli.adding import database_time
from gw_sqla.cli.bulk import Act, Preview, Tally, act_on_all, jobs_were, preview
from gw_sqla.cli.job_columns import JOB_COLUMNS
from gw_sqla.cli.job_input import at_time, parse_time
from gw_sqla.cli.listing import Format, as_record, json_option, print_json, print_list
from gw_sqla.cli.looking import WORDS, filter_of, looking, search_option, words_argument
from gw_sqla.cli.options import database_url_option, debug_option, schema_option
from gw_sqla.cli.terminal import confirm, progress, yes_option
from gw_sqla.errors import InvalidJobError
from gw_sqla.repository import JobRepository

__all__ = ["ACTIONS"]

F = TypeVar("F", bound=Callable[..., Any])

_NAMED = 20
"""How many of the jobs that were left out are named."""


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

    Jobs that a worker has are left out, and named. So it is with all that changes jobs: it says how many there are,
    does them by the thousand, and where the database goes away it says what was done and how to go on.
    """
    _act(
        words,
        "retried",
        lambda jobs, at: lambda session, ids: jobs.retry_jobs(session, ids, run_at=at),
        run_at,
        **given,
    )


@click.command(context_settings=WORDS)
@_action
def complete(words: tuple[str, ...], **given: Any) -> None:
    """Delete jobs as if they had succeeded; asks first."""
    _act(words, "completed", lambda jobs, _: jobs.complete_jobs, destroys="Complete", **given)


@click.command(context_settings=WORDS)
@_action
def remove(words: tuple[str, ...], **given: Any) -> None:
    """Delete jobs; asks first.

    In the database it is the same as complete: no function of the schema's tells them apart.
    """
    _act(words, "removed", lambda jobs, _: jobs.complete_jobs, destroys="Remove", **given)


@click.command(context_settings=WORDS)
@click.option("--message", metavar="TEXT", help="Becomes last_error; else it is: Manually marked as failed.")
@_action
def fail(words: tuple[str, ...], message: str | None, **given: Any) -> None:
    """Fail jobs for good: they stay, and are not run; asks first. jobs retry brings them back."""
    _act(
        words,
        "failed",
        lambda jobs, _: lambda session, ids: jobs.permanently_fail_jobs(session, ids, message),
        destroys="Fail",
        **given,
    )


@click.command(context_settings=WORDS)
@_run_at_option
@click.option("--priority", type=click.IntRange(-32768, 32767), metavar="N", help="Lower runs sooner.")
@click.option(
    "--attempts", type=click.IntRange(0, 32767), metavar="N", help="How many count as made; 0 revives a failed job."
)
@click.option("--max-attempts", type=click.IntRange(1, 32767), metavar="N", help="How many it gets.")
@_action
def reschedule(
    words: tuple[str, ...],
    run_at: datetime | timedelta | None,
    priority: int | None,
    attempts: int | None,
    max_attempts: int | None,
    **given: Any,
) -> None:
    """Change when and how jobs run; what is not given stays."""
    changes = {"priority": priority, "attempts": attempts, "max_attempts": max_attempts}
    if run_at is None and set(changes.values()) == {None}:
        raise click.UsageError("nothing to change: give --run-at, --priority, --attempts or --max-attempts")
    _act(
        words,
        "rescheduled",
        lambda jobs, at: lambda session, ids: jobs.reschedule_jobs(session, ids, run_at=at, **changes),
        run_at,
        **given,
    )


ACTIONS = (retry, complete, fail, reschedule, remove)


def _act(
    words: tuple[str, ...],
    done: str,
    make: Callable[[JobRepository, datetime | None], Act],
    run_at: datetime | timedelta | None = None,
    *,
    database_url: URL,
    schema: str,
    everything: bool,
    yes: bool,
    dry_run: bool,
    limits: ScanLimits,
    as_json: bool,
    destroys: str | None = None,
) -> None:
    if bool(words) == everything:
        raise click.UsageError("say which jobs: their ids, a filter, or --all (and not both)")
    given = filter_of(words)
    admin = Admin(schema, limits=limits)
    if dry_run or (destroys and not yes):
        seen = anyio.run(_preview, database_url, schema, admin, given)
        if dry_run:
            _print_preview(seen, done, as_json=as_json)
            return
        if not seen.count.number:
            click.echo("no jobs fit: nothing was done", err=True)
            return
        if not as_json:
            print_list(seen.samples, JOB_COLUMNS, Format.TABLE, nothing="")
        confirm(f"{destroys} {'this job' if str(seen.count) == '1' else f'{seen.count} jobs'}?", yes=yes)
    tally = Tally(done)
    anyio.run(_run, database_url, schema, admin, given, make, run_at, tally)
    _print_tally(tally, given, as_json=as_json)


async def _preview(url: URL, schema: str, admin: Admin, given: JobFilter) -> Preview:
    async with looking(url, schema) as sessions:
        return await preview(sessions, admin, given)


async def _run(
    url: URL,
    schema: str,
    admin: Admin,
    given: JobFilter,
    make: Callable[[JobRepository, datetime | None], Act],
    run_at: datetime | timedelta | None,
    tally: Tally,
) -> None:
    async with looking(url, schema, as_="admin") as sessions:
        async with sessions() as session:
            at = at_time(run_at, await database_time(session))
            expected = await admin.count_jobs(session, given, most=10_000_000)
        with progress(tally.done, expected.number) as advance, _told(tally):
            await act_on_all(sessions, admin, given, make(JobRepository(schema), at), tally, advance)


@contextmanager
def _told(tally: Tally) -> Iterator[None]:
    """Say, where the block ends by an error or an interruption, what is known of what was done before."""
    try:
        yield
    except BaseException:
        click.echo(tally.known, err=True)
        raise


def _print_preview(seen: Preview, done: str, *, as_json: bool) -> None:
    if as_json:
        samples = [as_record(job, JOB_COLUMNS) for job in seen.samples]
        print_json({"count": seen.count.number, "is_exact": seen.count.is_exact, "samples": samples})
        return
    print_list(seen.samples, JOB_COLUMNS, Format.TABLE, nothing="no jobs fit")
    number = "1 job" if str(seen.count) == "1" else f"{seen.count} jobs"
    click.echo(f"{number} would be {done}, but for those that a worker has; nothing was done")


def _print_tally(tally: Tally, given: JobFilter, *, as_json: bool) -> None:
    if as_json:
        print_json({tally.done: tally.changed, "left_out": tally.left_out})
    else:
        click.echo(f"{jobs_were(tally.changed)} {tally.done}")
        if tally.left_out:
            named = ", ".join(map(str, tally.left_out[:_NAMED]))
            more = f" and {len(tally.left_out) - _NAMED:,} more" if len(tally.left_out) > _NAMED else ""
            click.echo(
                f"{len(tally.left_out):,} left out, as workers have them or they are gone: {named}{more}", err=True
            )
    if isinstance(given.ids, frozenset):
        gone = len(given.ids) - tally.changed - len(tally.left_out)
        if gone:
            raise click.ClickException(f"{gone} of the jobs that were named are gone, or do not fit the filter")
