"""Sessions of several tasks of a handler, on the one connection of the test."""

from __future__ import annotations

import anyio
import pytest
from sqlalchemy import text

from gw_sqla import AsyncSession, JobContext, JobRepository, JobTesterError, TaskRegistry
from gw_sqla.testing import JobTester, turns
from tests.testing.conftest import notes

pytestmark = pytest.mark.anyio

WRITE = text("insert into notes values (:note)")


async def test_sessions_of_tasks_beside_each_other(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    """What one rolls back is its own."""

    async def write(ctx: JobContext, note: str) -> None:
        async with ctx.session() as own:
            await own.execute(WRITE, {"note": note})
            await own.execute(text("select pg_sleep(0.01)"))
            if note == "lost":
                await own.rollback()

    @tasks.task("parallel")
    async def parallel(ctx: JobContext) -> None:
        async with anyio.create_task_group() as group:
            for note in ("a", "lost", "b", "c"):
                group.start_soon(write, ctx, note)

    @tasks.task("around")
    async def around(own: AsyncSession, ctx: JobContext) -> None:
        await own.execute(WRITE, {"note": "around"})
        async with anyio.create_task_group() as group:
            group.start_soon(write, ctx, "inside")
            group.start_soon(write, ctx, "lost")
            await anyio.lowlevel.checkpoint()
            await own.execute(WRITE, {"note": "meanwhile"})
        async with ctx.session() as first, ctx.session() as second:
            await first.execute(WRITE, {"note": "first"})
            await second.execute(WRITE, {"note": "second"})
            await first.execute(WRITE, {"note": "third"})

    await repo.add_job(session, parallel)
    await repo.add_job(session, around)
    assert len((await jobs.run_jobs()).completed) == 2
    assert await notes(session) == ["a", "around", "b", "c", "first", "inside", "meanwhile", "second", "third"]


async def test_sessions_that_wait_for_each_other(
    session: AsyncSession,
    jobs: JobTester,
    tasks: TaskRegistry,
    repo: JobRepository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "_PATIENCE", 0.05)

    @tasks.task("waits")
    async def waits(ctx: JobContext) -> None:
        has_written = anyio.Event()

        async def first() -> None:
            async with ctx.session() as own:
                await own.execute(WRITE, {"note": "first"})
                await has_written.wait()

        async def second() -> None:
            await anyio.lowlevel.checkpoint()
            async with ctx.session() as own:
                await own.execute(WRITE, {"note": "second"})
            has_written.set()

        async with anyio.create_task_group() as group:
            group.start_soon(first)
            group.start_soon(second)

    await repo.add_job(session, waits)
    report = await jobs.run_jobs(errors="record")
    [error] = report.exceptions
    assert isinstance(error, ExceptionGroup)
    assert error.subgroup(JobTesterError) is not None
    assert "sessions in several tasks at once" in report.retried[0].message
    assert await notes(session) == []
