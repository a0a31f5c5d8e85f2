"""A change of jobs by a command: whose jobs, a preview and a question first, then chunk by chunk, and what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Action, Admin, JobFilter, Jobs, LeftOut, Preview, ScanLimits, WhyLeftOut
from gw_sqla.admin.chunks import Tally, act_on_all, jobs_were
from gw_sqla.cli.adding import database_time
from gw_sqla.cli.job_columns import JOB_COLUMNS
from gw_sqla.cli.job_input import at_time
from gw_sqla.cli.listing import Format, as_record, json_option, print_json, print_list
from gw_sqla.cli.looking import actor_option, filter_of, looking, search_option, words_argument
from gw_sqla.cli.options import database_url_option, debug_option, schema_option
from gw_sqla.cli.terminal import confirm, progress, yes_option
from gw_sqla.cli.terminal_text import counted, printable
from gw_sqla.errors import GwSqlaError

__all__ = ["Change", "change_jobs", "change_options"]

F = TypeVar("F", bound=Callable[..., Any])

_EVERY_JOB = "id:>=0"
_MOST_COUNTED = 10_000_000
_NAMED = 20
"""How many of the jobs that were left out are named."""


@dataclass(frozen=True)
class Change:
    """An action: the word for what was done, what to make of the time that was given, whether to ask first."""

    done: str
    make: Callable[[datetime | None], Action]
    run_at: datetime | timedelta | None = None
    question: str | None = None


def change_options(command: F) -> F:
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


def change_jobs(
    words: tuple[str, ...],
    change: Change,
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
    """Change the jobs that the words of a filter or ``--all`` say."""
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
    url: URL, schema: str, admin: Admin, change: Change, jobs: JobFilter | list[int], actor: str | None, tally: Tally
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
    except BaseException as error:
        if tally.changed or not isinstance(error, GwSqlaError):  # which says itself why nothing was done
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
    """Return some of the names, and how many there are beside; of some reasons there may be no examples."""
    shown = names[:_NAMED]
    if not shown:
        return counted(number, "job")
    more = f" and {number - len(shown):,} more" if number > len(shown) else ""
    return ", ".join(shown) + more
