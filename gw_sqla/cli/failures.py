"""``failures``: what fails, by task and first line of the error."""

from __future__ import annotations

from dataclasses import replace

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Admin, FailureGroup, Failures, JobFilter, ScanLimits
from gw_sqla.cli.listing import Column, format_options, print_list, utc_text
from gw_sqla.cli.looking import WORDS, filter_of, looking, search_option, words_argument
from gw_sqla.cli.options import database_url_option, debug_option, schema_option
from gw_sqla.types import JobState

__all__ = ["COLUMNS", "command"]

COLUMNS: list[Column[FailureGroup]] = [
    Column("jobs", lambda group: group.jobs, lambda group: f"{group.jobs:,}", right=True),
    Column("task_identifier", lambda group: group.task_identifier, cuts=True),
    Column("error", lambda group: group.error, cuts=True),
    Column("first", lambda group: group.first, lambda group: utc_text(group.first)),
    Column("last", lambda group: group.last, lambda group: utc_text(group.last)),
    Column("sample", lambda group: group.sample, right=True),
]


@click.command(context_settings=WORDS)
@words_argument
@database_url_option()
@schema_option
@click.option("--limit", type=click.IntRange(1, 1000), default=50, metavar="N", help="How many groups at most.")
@search_option
@format_options
@debug_option
def command(
    words: tuple[str, ...], database_url: URL, schema: str, *, limit: int, limits: ScanLimits, output: str | None
) -> None:
    """Group failures by task and error, the largest group first.

    FILTER is as of jobs list. Without a state it is of jobs that failed for good; state:failed,retrying is all that has
    failed so far.

    What differs from job to job is <n>, <uuid>, <hex> or <text> in the error. SAMPLE is the newest job: jobs show it.
    """
    given = filter_of(words)
    if not given.states:
        given = replace(given, states=frozenset({JobState.FAILED}))
    found = anyio.run(_look, database_url, schema, given, limit, limits)
    print_list(found.groups, COLUMNS, output, nothing="no failures")
    if found.left_out:
        click.echo(f"{found.left_out:,} smaller groups: --limit", err=True)
    if found.stopped is not None:
        click.echo(
            f"the search took as long as it may (--search-seconds): these are of the newest {found.scanned:,} jobs",
            err=True,
        )


async def _look(url: URL, schema: str, given: JobFilter, limit: int, limits: ScanLimits) -> Failures:
    async with looking(url, schema) as sessions, sessions() as session:
        return await Admin(schema, limits=limits).list_failures(session, given, most=limit)
