"""What the workers of a storm run: handlers that record in a table when they began and ended, and what they wrote.

- ``storm`` completes nothing itself. It may run more than once.
- ``transactional`` writes in the transaction that completes it, ``by_hand`` in one of its own, with ``ctx.complete``.
  What these write must be there once.

Some take longer than most, some fail at first, some roll back what completes them or fail after its commit.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import anyio
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from gw_sqla import AsyncSession, JobContext, TaskRegistry
from gw_sqla.database.outage import DATABASE_FAULTS

WORKER = "GW_SQLA_TEST_STORM_WORKER"
"""The environment variable with the number of the worker process."""
RUNS = """create table storm_runs (
  id uuid primary key, n integer not null, job_id bigint not null, queue_name text, worker integer not null,
  attempt integer not null, began timestamptz not null, ended timestamptz, locked_at timestamptz,
  done boolean not null default false
)"""
WRITES = "create table storm_writes (n integer not null, job_id bigint not null, worker integer not null)"
_BEGIN = text("""insert into storm_runs (id, n, job_id, queue_name, worker, attempt, locked_at, began, ended)
values (:id, :n, :job_id, :queue_name, :worker, :attempt, :locked_at, clock_timestamp(),
  case when :is_short then clock_timestamp() end)
on conflict do nothing""")
_END = text("update storm_runs set ended = clock_timestamp(), done = :done where id = :id")
_WRITE = text("insert into storm_writes (n, job_id, worker) values (:n, :job_id, :worker)")
_WORK = 0.001
"""Seconds that a job takes beside its two statements."""

tasks = TaskRegistry()


def task_of(n: int) -> str:
    """Return the task of the job with this number."""
    return "storm" if n % 2 == 0 else "transactional" if n % 4 == 1 else "by_hand"


def _soon(attempts: int) -> timedelta:
    return timedelta(seconds=1)


@tasks.task("storm", backoff=_soon)
async def storm(payload: int, ctx: JobContext) -> None:
    """Record the beginning, work, record the end."""
    await record(payload, ctx, lambda: work(payload, ctx))


@tasks.task("transactional", transactional=True, backoff=_soon)
async def transactional(payload: int, ctx: JobContext, session: AsyncSession) -> None:
    """Record the beginning, work, write."""
    run = await begin(payload, ctx, is_short=True)
    await work(payload, ctx)
    await write(session, run)


@tasks.task("by_hand", backoff=_soon)
async def by_hand(payload: int, ctx: JobContext) -> None:
    """Record the beginning, work, write and complete the job; go on."""
    run = await begin(payload, ctx, is_short=True)
    await work(payload, ctx)
    async with ctx.session() as session:
        await write(session, run)
        await ctx.complete(session)
        if payload % 7 == 0 and ctx.job.attempts == 1:
            raise ValueError("rolled back")
    await anyio.sleep(0.02)
    if payload % 13 == 0:
        raise ValueError("after the commit")


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


async def work(n: int, ctx: JobContext) -> None:
    """Take the time that this job takes; fail where it fails at first."""
    await anyio.sleep(3 if n % 199 == 0 else 0.5 if n % 19 == 0 else _WORK)
    if n % 11 == 0 and ctx.job.attempts == 1:
        raise ValueError("the first attempt")


async def record(payload: int, ctx: JobContext, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work between two records of this run, the second of which tells whether it was done."""
    run: dict[str, Any] = {}
    with anyio.CancelScope(shield=True):
        run = await begin(payload, ctx, is_short=False)
    done = False
    try:
        await work()
        done = True
    finally:
        with anyio.CancelScope(shield=True):
            await until_done(ctx, _END, {"id": run["id"], "done": done})


async def begin(payload: int, ctx: JobContext, *, is_short: bool) -> dict[str, Any]:
    """Record the beginning; a run that ``is_short`` has ended at once, unless it tells that it ended later."""
    job = ctx.job
    run: dict[str, Any] = {"id": uuid4(), "n": payload, "job_id": job.id, "queue_name": job.queue_name}
    run |= {"worker": int(os.environ[WORKER]), "attempt": job.attempts, "locked_at": job.locked_at}
    await until_done(ctx, _BEGIN, run | {"is_short": is_short})
    return run


async def write(session: AsyncSession, run: dict[str, Any]) -> None:
    """Write what must be there once, and the end of the run, in a transaction that completes the job."""
    await session.execute(_WRITE, {name: run[name] for name in ("n", "job_id", "worker")})
    await session.execute(_END, {"id": run["id"], "done": True})


async def until_done(ctx: JobContext, statement: Any, parameters: dict[str, Any]) -> None:
    """Repeat a write until it is committed: a run has no end only where its process was killed."""
    while True:
        try:
            async with ctx.session() as session:
                await session.execute(statement, parameters)
        except (SQLAlchemyError, *DATABASE_FAULTS):  # SQLAlchemy 2.0 lets asyncpg's own out when it connects
            await anyio.sleep(0.05)
        else:
            return
