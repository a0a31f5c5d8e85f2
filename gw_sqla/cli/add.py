"""``add``: add one job and print its id."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from functools import partial
from typing import Any

import anyio
import click
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.cli.engine import connected
from gw_sqla.cli.options import database_url_option, debug_option, schema_option
from gw_sqla.database.session import async_sessionmaker
from gw_sqla.errors import AccessError, InvalidPayloadError, SchemaBehindError
from gw_sqla.jobs.stored_job import JobRow
from gw_sqla.repository import JobRepository
from gw_sqla.schema.check import check_schema
from gw_sqla.types import JobKeyMode

__all__ = ["command"]


def _parse_payload(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    try:
        payload = json.loads(sys.stdin.buffer.read() if value == "-" else value)
    except RecursionError as error:
        raise InvalidPayloadError("is nested too deeply for JSON") from error
    except ValueError as error:
        raise InvalidPayloadError(f"is not JSON: {error}") from error
    if payload is None:
        raise InvalidPayloadError("is null, which the queue stores as {}: leave it out, or give it a value")
    return payload


def _parse_time(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not an ISO 8601 time such as 2030-01-31T08:00:00Z") from error
    if time.utcoffset() is None:
        raise click.BadParameter(f"{value!r} has no time zone: add Z for UTC, or an offset such as +02:00")
    return time


@click.command()
@click.argument("task_identifier", metavar="TASK")
@database_url_option()
@schema_option
@click.option(
    "--payload", callback=_parse_payload, metavar="JSON", help="The payload, or - to read it from standard input."
)
@click.option("--queue-name", metavar="NAME", help="The serial queue to put the job in.")
@click.option(
    "--run-at", callback=_parse_time, metavar="TIME", help="When to run it, with a time zone: 2030-01-31T08:00:00Z."
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
    task_identifier: str,
    database_url: URL,
    schema: str,
    *,
    job_key_mode: str | None,
    flags: tuple[str, ...],
    **options: Any,
) -> None:
    """Add a job and print its id.

    TASK is the identifier of a task of any worker, also one in Node.js or Rust. What the job is like comes from the
    command line alone: a variable would be left in the shell for the next one.
    """
    anyio.run(
        partial(
            _add,
            database_url,
            schema,
            task_identifier,
            job_key_mode=None if job_key_mode is None else JobKeyMode(job_key_mode),
            flags=flags or None,
            **options,
        )
    )


async def _add(url: URL, schema: str, task_identifier: str, **options: Any) -> None:
    async with connected(url) as engine:
        lacking = await _look(engine, schema)
        try:
            async with async_sessionmaker(engine).begin() as session:
                job: JobRow = await JobRepository(schema).add_job(session, task_identifier, **options)
        except AccessError as error:
            if lacking is not None:
                raise lacking from error
            raise
    click.echo(job.id)


async def _look(engine: AsyncEngine, schema: str) -> AccessError | None:
    """Raise if no job can be added here; return the lack of a right that adding needs, but not always."""
    try:
        await check_schema(engine, schema=schema, as_="adder")
    except AccessError as error:
        return error
    except SchemaBehindError:  # add_job is the same in every schema that can be adopted
        pass
    return None
