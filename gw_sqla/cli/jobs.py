"""``jobs``: list, show, explain; what changes jobs is in `gw_sqla.cli.job_actions`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Admin, Explanation, JobFilter, JobGone, JobOrder, JobPage, ScanLimits
from gw_sqla.cli.job_actions import ACTIONS
from gw_sqla.cli.job_columns import JOB_COLUMNS, print_job
from gw_sqla.cli.listing import Format, as_record, format_options, json_option, print_json, print_list, utc_text
from gw_sqla.cli.looking import WORDS, filter_of, looking, search_option, words_argument
from gw_sqla.cli.options import database_url_option, debug_option, schema_option
from gw_sqla.cli.terminal_text import printable
from gw_sqla.jobs.stored_job import JobDetails
from gw_sqla.repository import JobRepository

__all__ = ["command"]


@click.group()
def command() -> None:
    """Look at jobs, and change them.

    FILTER says which: numbers are ids, other words are as in state:failed task:charge,refund attempts:>3 -flag:slow
    'error:timed out' payload.order_id:7. A job must fit them all. docs/operating.md has the whole grammar.
    """


for _action in ACTIONS:
    command.add_command(_action)


@command.command("list", context_settings=WORDS)
@words_argument
@database_url_option()
@schema_option
@click.option("--limit", type=click.IntRange(1, 1000), default=50, metavar="N", help="How many at most.")
@click.option("--turn", is_flag=True, help="In the order in which they are claimed; for state:waiting and its like.")
@click.option("--newest", is_flag=True, help="The newest first.")
@click.option("--cursor", metavar="TEXT", help="Go on where a page ended, in the same order.")
@click.option("--count", "counts", is_flag=True, help="Print how many there are, and nothing else.")
@search_option
@format_options
@debug_option
def list_(
    words: tuple[str, ...],
    database_url: URL,
    schema: str,
    *,
    limit: int,
    turn: bool,
    newest: bool,
    cursor: str | None,
    counts: bool,
    limits: ScanLimits,
    output: str | None,
) -> None:
    """List jobs.

    What comes behind the last one is said on standard error, with its --cursor; --json has the cursors as next and
    previous beside the jobs. Large payloads are not read: see jobs show.
    """
    given = filter_of(words)
    if counts:
        click.echo(anyio.run(_count, database_url, schema, given, limits))
        return
    order = JobOrder.TURN if turn else JobOrder.ID
    page = anyio.run(_page, database_url, schema, given, order, newest, cursor, limit, limits)
    if output == Format.JSON:
        jobs = [as_record(job, JOB_COLUMNS) for job in page.jobs]
        print_json({"jobs": jobs, "next": page.next, "previous": page.previous, "stopped": page.stopped})
        return
    print_list(page.jobs, JOB_COLUMNS, output, nothing="no jobs" if page.stopped is None else "no jobs so far")
    if page.stopped is not None:
        click.echo(
            f"the search ended early: as much {page.stopped} was spent as it may take (--search-seconds)", err=True
        )
    if page.next is not None:
        click.echo(f"there may be more: --cursor {page.next}", err=True)


async def _page(
    url: URL,
    schema: str,
    given: JobFilter,
    order: JobOrder,
    newest: bool,
    cursor: str | None,
    limit: int,
    limits: ScanLimits,
) -> JobPage:
    async with looking(url, schema) as sessions, sessions() as session:
        return await Admin(schema, limits=limits).list_jobs(
            session, given, order=order, descending=newest, cursor=cursor, limit=limit
        )


async def _count(url: URL, schema: str, given: JobFilter, limits: ScanLimits) -> str:
    async with looking(url, schema) as sessions, sessions() as session:
        return str(await Admin(schema, limits=limits).count_jobs(session, given, most=10_000_000))


_ids_argument = click.argument("ids", nargs=-1, required=True, type=int, metavar="ID...")


@command.command()
@_ids_argument
@database_url_option()
@schema_option
@json_option
@debug_option
@click.pass_context
def show(ctx: click.Context, ids: tuple[int, ...], database_url: URL, schema: str, *, as_json: bool) -> None:
    """Show all of a job: its payload, and its last error with all lines.

    The exit code is 1 if one of them is gone.
    """
    found = anyio.run(_show, database_url, schema, ids)
    jobs = [job for job in found if job is not None]
    if as_json:
        print_json([as_record(job, JOB_COLUMNS) for job in jobs])
    else:
        for at, job in enumerate(jobs):
            if at:
                click.echo()
            print_job(job)
    sys.stdout.flush()
    gone = [job_id for job_id, job in zip(ids, found, strict=True) if job is None]
    for job_id in gone:
        click.echo(str(JobGone(job_id)), err=True)
    if gone:
        ctx.exit(1)


async def _show(url: URL, schema: str, ids: Sequence[int]) -> list[JobDetails | None]:
    jobs = JobRepository(schema)
    async with looking(url, schema) as sessions, sessions() as session:
        return [await jobs.get_job(session, job_id) for job_id in ids]


@command.command()
@_ids_argument
@database_url_option()
@schema_option
@search_option
@json_option
@debug_option
@click.pass_context
def explain(
    ctx: click.Context, ids: tuple[int, ...], database_url: URL, schema: str, *, limits: ScanLimits, as_json: bool
) -> None:
    """Say why a job is not running: every reason that holds now; and how often it was snoozed.

    The exit code is 1 if one of them is gone.
    """
    found = anyio.run(_explain, database_url, schema, ids, limits)
    records = [
        {
            "id": job_id,
            "reasons": [{"kind": type(reason).__name__, "text": str(reason)} for reason in explanation.reasons],
            "snoozes": _snoozes(explanation),
        }
        for job_id, explanation in zip(ids, found, strict=True)
    ]
    if as_json:
        print_json(records)
    else:
        for job_id, explanation in zip(ids, found, strict=True):
            for told in (*explanation.reasons, explanation.snoozes):
                if told is not None:
                    click.echo(f"{job_id}: {printable(str(told))}")
    if any(explanation.job is None for explanation in found):
        ctx.exit(1)


def _snoozes(explanation: Explanation) -> dict[str, object] | None:
    if (found := explanation.snoozes) is None:
        return None
    return {"number": found.number, "last_at": utc_text(found.last_at), "reason": found.reason}


async def _explain(url: URL, schema: str, ids: Sequence[int], limits: ScanLimits) -> list[Explanation]:
    admin = Admin(schema, limits=limits)
    async with looking(url, schema) as sessions, sessions() as session:
        return [await admin.explain_job(session, job_id) for job_id in ids]
