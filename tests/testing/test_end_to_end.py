"""A worker in the test: until idle, and asked for outcomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    Completed,
    Failed,
    FailPermanently,
    JobContext,
    JobRepository,
    JobTesterError,
    RunCounts,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.testing import run_until_idle, running_worker

pytestmark = pytest.mark.anyio

SHORT = timedelta(milliseconds=100)


@pytest.fixture(params=["asyncio+asyncpg", "trio+asyncpg"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sessions(kit_engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(kit_engine, expire_on_commit=False)


async def test_outcomes(
    kit_engine: AsyncEngine, sessions: async_sessionmaker[AsyncSession], tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("note", backoff=lambda _: timedelta(0))
    async def note(payload: str, ctx: JobContext) -> None:
        if payload == "fails once" and ctx.job.attempts == 1:
            raise LookupError
        if payload == "fails":
            raise FailPermanently("never")
        if payload == "waits":
            await anyio.sleep_forever()

    async with running_worker(kit_engine, tasks) as outcomes:
        async with sessions.begin() as session:
            good = await repo.add_job(session, note, "good")
            once = await repo.add_job(session, note, "fails once")
            fails = repo.add_job_on_commit(session, note, "fails")
            later = await repo.add_job(session, note, "good", run_at=datetime.now(UTC) + timedelta(hours=1))
            unknown = await repo.add_job(session, "of_node")
        assert isinstance(await outcomes.of(good), Completed)
        assert isinstance(await outcomes.of(good.id), Completed)
        failed = await outcomes.of(fails)
        assert isinstance(failed, Failed)
        assert failed.message == "FailPermanently: never"
        assert isinstance(await outcomes.of(once, attempt=1), Failed)
        for job in (later, unknown):
            with pytest.raises(TimeoutError, match=f"job {job.id} has no such outcome within 0:00:00.1.*not started"):
                await outcomes.of(job, deadline=SHORT)


async def test_how_far_a_job_has_come(
    kit_engine: AsyncEngine, sessions: async_sessionmaker[AsyncSession], tasks: TaskRegistry, repo: JobRepository
) -> None:
    go_on = anyio.Event()

    @tasks.task("waits")
    async def waits() -> None:
        await go_on.wait()
        raise LookupError("no such order")

    async with running_worker(kit_engine, tasks) as outcomes:
        async with sessions.begin() as session:
            job = await repo.add_job(session, waits)
        with pytest.raises(TimeoutError, match="attempt 1 is running"):
            await outcomes.of(job, deadline=timedelta(seconds=1))
        go_on.set()
        await outcomes.of(job, attempt=1)
        with pytest.raises(TimeoutError, match=r"attempt 1 has failed \(LookupError: no such order\), and the next"):
            await outcomes.of(job, deadline=SHORT)


async def test_until_idle(
    kit_engine: AsyncEngine, sessions: async_sessionmaker[AsyncSession], tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("first")
    async def first(ctx: JobContext) -> None:
        await ctx.add_job("second")

    @tasks.task("second")
    async def second() -> None:
        raise LookupError("no such order")

    async with sessions.begin() as session:
        await repo.add_job(session, first)
    with pytest.raises(LookupError, match="no such order"):
        await run_until_idle(kit_engine, tasks)
    async with sessions.begin() as session:
        await repo.add_job(session, first)
    counts = await run_until_idle(kit_engine, tasks, raise_errors=False)
    assert counts == RunCounts(completed=1, failed=1)


async def test_a_deadline(
    kit_engine: AsyncEngine, sessions: async_sessionmaker[AsyncSession], tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("waits")
    async def waits() -> None:
        await anyio.sleep_forever()

    async with sessions.begin() as session:
        job = await repo.add_job(session, waits)
    with pytest.raises(JobTesterError, match=f"within 0:00:02: the last to start were job {job.id} of 'waits'"):
        await run_until_idle(kit_engine, tasks, deadline=timedelta(seconds=2))
