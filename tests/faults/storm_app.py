"""What the workers of a storm run: a handler that records in a table when it began and when it ended."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import anyio
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from gw_sqla import JobContext, TaskRegistry
from gw_sqla.database.outage import DATABASE_FAULTS

WORKER = "GW_SQLA_TEST_STORM_WORKER"
"""The environment variable with the number of the worker process."""
RUNS = """create table storm_runs (
  id uuid primary key, n integer not null, job_id bigint not null, queue_name text, worker integer not null,
  attempt integer not null, began timestamptz not null, ended timestamptz
)"""
_BEGIN = text("""insert into storm_runs (id, n, job_id, queue_name, worker, attempt, began)
values (:id, :n, :job_id, :queue_name, :worker, :attempt, clock_timestamp()) on conflict do nothing""")
_END = text("update storm_runs set ended = clock_timestamp() where id = :id")
_WORK = 0.001
"""Seconds that a job takes beside its two statements."""

tasks = TaskRegistry()


@tasks.task("storm")
async def storm(payload: int, ctx: JobContext) -> None:
    """Record the beginning, work, record the end."""
    await record(payload, ctx, lambda: anyio.sleep(_WORK))


@tasks.task("wait")
async def wait(payload: int, ctx: JobContext) -> None:
    """Record the beginning, wait until there is a run with the number -1, record the end."""

    async def permitted() -> bool:
        async with ctx.session() as session:
            return bool(await session.scalar(text("select exists (select from storm_runs where n = -1)")))

    async def until_permitted() -> None:
        while not await permitted():  # noqa: ASYNC110 - another process says so
            await anyio.sleep(0.1)

    await record(payload, ctx, until_permitted)


async def record(payload: int, ctx: JobContext, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work between two records of this run."""
    run = {"id": uuid4(), "n": payload, "job_id": ctx.job.id, "queue_name": ctx.job.queue_name}
    run |= {"worker": int(os.environ[WORKER]), "attempt": ctx.job.attempts}

    async def write(statement: Any, parameters: dict[str, Any]) -> None:
        async with ctx.session() as session:
            await session.execute(statement, parameters)

    await until_done(lambda: write(_BEGIN, run))
    await work()
    await until_done(lambda: write(_END, {"id": run["id"]}))


async def until_done(write: Callable[[], Awaitable[None]]) -> None:
    """Repeat a write until it is committed: a run has no end only where its process was killed."""
    while True:
        try:
            await write()
        except (SQLAlchemyError, *DATABASE_FAULTS):  # SQLAlchemy 2.0 lets asyncpg's own out when it connects
            await anyio.sleep(0.05)
        else:
            return
