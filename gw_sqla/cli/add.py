"""``add``: one job, its id printed; or the jobs of a file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import click
from sqlalchemy import URL

from gw_sqla.cli.add_lines import add_lines
from gw_sqla.cli.adding import adding, database_time
from gw_sqla.cli.engine import connected
from gw_sqla.cli.job_input import at_time, checking_application, make_spec, parse_time, read_payload
from gw_sqla.cli.job_lines import JobLines, open_lines
from gw_sqla.cli.options import database_url_option, debug_option, schema_option
from gw_sqla.cli.terminal import progress
from gw_sqla.cli.terminal_text import counted
from gw_sqla.database.session import async_sessionmaker
from gw_sqla.errors import InvalidJobError
from gw_sqla.execution.task_registry import TaskRegistry
from gw_sqla.jobs.argument_checks import check_job_key_mode
from gw_sqla.jobs.job_spec import JobSpec
from gw_sqla.jobs.payload_size import MAX_PAYLOAD_SIZE
from gw_sqla.jobs.spec_parameters import spec_to_parameters
from gw_sqla.jobs.stored_job import JobRow
from gw_sqla.repository import JobRepository
from gw_sqla.types import JobKeyMode

__all__ = ["command"]


def _when(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | timedelta | None:
    try:
        return None if value is None else parse_time(value)
    except InvalidJobError as error:
        raise click.BadParameter(error.problem) from error


@click.command()
@click.argument("task_identifier", metavar="[TASK]", required=False)
@database_url_option()
@schema_option
@click.option("--payload", metavar="JSON", help="The payload, or - to read it from standard input.")
@click.option("--payload-file", metavar="FILE", help="A file with the payload.")
@click.option(
    "--jobs",
    "jobs_file",
    metavar="FILE",
    help="Add many: a file of JSON Lines, or - for standard input. Each line is an object of payload, task, "
    "queue_name, run_at, max_attempts, job_key, priority, flags; what it leaves out is as TASK and the options say.",
)
@click.option(
    "--from-line", type=click.IntRange(min=1), default=1, metavar="N", help="With --jobs: leave out the lines before."
)
@click.option(
    "--app",
    "apps",
    multiple=True,
    metavar="MODULE:ATTRIBUTE",
    help="Check the payload against the task's type in this TaskRegistry, which must have the task; the job then has "
    "what the task fixes for its jobs. Can be repeated.",
)
@click.option("--queue-name", metavar="NAME", help="The serial queue to put the job in.")
@click.option(
    "--run-at",
    callback=_when,
    metavar="TIME",
    help="When to run it: a time with a time zone, 2030-01-31T08:00:00Z, or from now on, 10m or 1h30m (w, d, h, m, s).",
)
@click.option("--max-attempts", type=int, metavar="N", help="How many attempts it gets; the schema's default is 25.")
@click.option("--job-key", metavar="KEY", help="A key that no other job has.")
@click.option(
    "--job-key-mode", type=click.Choice([mode.value for mode in JobKeyMode]), help="If a job has the key already."
)
@click.option("--priority", type=int, metavar="N", help="Lower runs sooner; the schema's default is 0.")
@click.option(
    "--flag",
    "flags",
    multiple=True,
    metavar="FLAG",
    help="A flag that workers can forbid; can be repeated.",
)
@debug_option
def command(
    task_identifier: str | None,
    database_url: URL,
    schema: str,
    *,
    payload: str | None,
    payload_file: str | None,
    jobs_file: str | None,
    from_line: int,
    apps: tuple[str, ...],
    job_key_mode: str | None,
    flags: tuple[str, ...],
    **options: Any,
) -> None:
    """Add a job and print its id, or the jobs of a file and print how many.

    TASK is the identifier of a task of any worker, also one in Node.js or Rust. What the job is like comes from the
    command line alone: a variable would be left in the shell for the next one.

    The lines of a file are all checked before the first is added. They are added in chunks of 10,000, each in a
    transaction of its own; where one fails, the lines that were added are told.
    """
    mode = None if job_key_mode is None else JobKeyMode(job_key_mode)
    application = checking_application(apps)
    tasks = None if application is None else application.tasks
    repository = JobRepository(schema, interceptors=() if application is None else application.interceptors)
    options["flags"] = flags or None
    if jobs_file is not None:
        _refuse_for_many(payload, payload_file, options["job_key"], mode)
        _add_file(database_url, repository, jobs_file, tasks, task_identifier, options, from_line, mode)
        return
    if task_identifier is None:
        raise click.UsageError("Missing argument 'TASK'.")
    if from_line != 1:
        raise click.UsageError("--from-line goes with --jobs")
    if payload is not None and payload_file is not None:
        raise click.UsageError("--payload and --payload-file are two payloads: leave one of them out")
    run_at = options.pop("run_at")
    spec = make_spec(tasks, task_identifier, read_payload(payload, payload_file), options)
    at_time(run_at, datetime.now(UTC))
    spec_to_parameters(spec, check_job_key_mode(mode, has_key=spec.job_key is not None), MAX_PAYLOAD_SIZE)
    anyio.run(_add, database_url, repository, spec, run_at, mode)


def _refuse_for_many(text: str | None, file: str | None, job_key: str | None, mode: JobKeyMode | None) -> None:
    if text is not None or file is not None:
        raise click.UsageError("the payloads of --jobs are in its lines: leave --payload and --payload-file out")
    if job_key is not None:
        raise click.UsageError("one job has a key: with --jobs, give the keys in the lines")
    if mode is JobKeyMode.UNSAFE_DEDUPE:
        raise click.UsageError("--jobs knows --job-key-mode replace and preserve_run_at only")


async def _add(
    url: URL, repository: JobRepository, spec: JobSpec, run_at: datetime | timedelta | None, mode: JobKeyMode | None
) -> None:
    async with (
        connected(url) as engine,
        adding(engine, repository.schema),
        async_sessionmaker(engine).begin() as session,
    ):
        if isinstance(run_at, timedelta):
            run_at = at_time(run_at, await database_time(session))
        job: JobRow = await repository.add_job(
            session,
            spec.task_identifier,
            spec.payload,
            run_at=run_at,
            queue_name=spec.queue_name,
            max_attempts=spec.max_attempts,
            job_key=spec.job_key,
            job_key_mode=mode,
            priority=spec.priority,
            flags=spec.flags,
        )
    click.echo(job.id)


def _add_file(
    url: URL,
    repository: JobRepository,
    name: str,
    tasks: TaskRegistry | None,
    task: str | None,
    options: dict[str, Any],
    first: int,
    mode: JobKeyMode | None,
) -> None:
    async def add() -> None:
        async with connected(url) as engine, adding(engine, repository.schema):
            preserve = mode is JobKeyMode.PRESERVE_RUN_AT
            await add_lines(engine, repository, lines, count, preserve_run_at=preserve)

    with open_lines(name) as (file, size):
        lines = JobLines("standard input" if name == "-" else name, file, tasks, task, options, first)
        with progress("checking", size) as advance:
            count = lines.check(advance)
        anyio.run(add)
    click.echo(f"added {counted(count, 'job')}")
