"""Handlers' transactions at the stricter isolation levels, and where there is no transaction at all."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import (
    AsyncSession,
    ConfigurationError,
    JobContext,
    JobRepository,
    RunCounts,
    Runner,
    RunnerSettings,
    SessionError,
    TaskRegistry,
    async_sessionmaker,
    call_asyncio,
)
from tests.execution.conftest import WRITE, Effects, Jobs
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

COUNT = text("select count(*) from effects")
MET = "its transaction met another one, and is run again"


@pytest.fixture
async def strict(engine: AsyncEngine, clean_database: str) -> AsyncIterator[AsyncEngine]:
    """An engine whose transactions are SERIALIZABLE."""
    strict = create_async_engine(clean_database, isolation_level="SERIALIZABLE", pool_size=12)
    yield strict
    await call_asyncio(strict.dispose)


@pytest.fixture
async def autocommit(engine: AsyncEngine, clean_database: str) -> AsyncIterator[AsyncEngine]:
    autocommit = create_async_engine(clean_database, isolation_level="AUTOCOMMIT")
    yield autocommit
    await call_asyncio(autocommit.dispose)


async def test_transactional_tasks_do_not_meet_in_the_jobs_table(
    strict: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """They do nothing but complete themselves, each its own row: a scan of the others would be a conflict."""
    caplog.set_level(logging.DEBUG, "gw_sqla")

    @tasks.task("nothing", transactional=True)
    async def nothing(session: AsyncSession) -> None:
        await session.execute(text("select 1"))

    for number in range(60):
        await add_job(nothing, queue_name=f"q{number % 30}" if number % 2 else None)
    async with async_sessionmaker(strict).begin() as session:  # as autovacuum does: then a scan looks cheapest
        await session.execute(text("analyze graphile_worker._private_jobs"))
        await session.execute(text("analyze graphile_worker._private_job_queues"))
    counts = await Runner(strict, tasks, RunnerSettings(concurrency=8), observers=[recorder]).run_once()
    assert counts == RunCounts(completed=60, failed=0)
    assert MET not in caplog.text


@pytest.mark.parametrize("transactional", [False, True])
@pytest.mark.parametrize("conflicts", [1, 6])
async def test_a_conflict_at_the_commit_is_tried_again_at_once(
    strict: AsyncEngine,
    tasks: TaskRegistry,
    add_job: AddJob,
    effects: Effects,
    jobs: Jobs,
    transactional: bool,
    conflicts: int,
) -> None:
    """In the same attempt, a few times; then it is a failure like any other."""
    others = async_sessionmaker(strict)
    begun = 0

    @tasks.task("count", transactional=transactional)
    async def count(session: AsyncSession) -> None:
        nonlocal begun
        begun += 1
        number = await session.scalar(COUNT)
        if begun <= conflicts:
            async with others.begin() as other:  # each reads what the other writes: one of them has to go
                await other.scalar(COUNT)
                await other.execute(WRITE, {"note": f"other {begun}"})
        await session.execute(WRITE, {"note": f"counted {number}"})

    await add_job(count)
    counts = await Runner(strict, tasks).run_once()
    written = [f"other {number}" for number in range(1, conflicts + 1)]
    if conflicts == 1:
        assert (begun, counts) == (2, RunCounts(completed=1, failed=0))
        assert await effects() == ["counted 1", *written]
        assert await jobs() == []
    else:
        assert (begun, counts) == (6, RunCounts(completed=0, failed=1))
        assert await effects() == written
        [job] = await jobs()
        assert job.attempts == 1
        assert "SerializationError: SQLSTATE 40001" in str(job.last_error)


async def test_a_conflict_after_the_jobs_own_completion_is_not_tried_again(
    strict: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, effects: Effects, jobs: Jobs
) -> None:
    """The job is done; its handler must not run again."""
    others = async_sessionmaker(strict)
    begun = 0

    @tasks.task("count")
    async def count(session: AsyncSession, ctx: JobContext) -> None:
        nonlocal begun
        begun += 1
        async with ctx.session() as own:
            await ctx.complete(own)
        await session.scalar(COUNT)
        async with others.begin() as other:
            await other.scalar(COUNT)
            await other.execute(WRITE, {"note": "other"})
        await session.execute(WRITE, {"note": "never"})

    await add_job(count)
    counts = await Runner(strict, tasks).run_once()
    assert (begun, counts) == (1, RunCounts(completed=1, failed=0))
    assert await effects() == ["other"]
    assert await jobs() == []


async def test_a_session_task_needs_transactions(autocommit: AsyncEngine, tasks: TaskRegistry) -> None:
    @tasks.task("write")
    async def write(session: AsyncSession) -> None: ...

    with pytest.raises(ConfigurationError, match=r"^engine: is in AUTOCOMMIT, so the session of task 'write'"):
        await Runner(autocommit, tasks).run_once()


async def test_a_completion_by_hand_needs_a_transaction(
    autocommit: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, jobs: Jobs
) -> None:
    @tasks.task("write")
    async def write(ctx: JobContext) -> None:
        async with ctx.session() as session:
            await ctx.complete(session)

    await add_job(write)
    assert await Runner(autocommit, tasks).run_once() == RunCounts(completed=0, failed=1)
    [job] = await jobs()
    assert "SessionError: the session's connection is in AUTOCOMMIT" in str(job.last_error)


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("how", ["of the engine", "of the execution"])
async def test_jobs_are_added_in_transactions_only(
    engine: AsyncEngine, autocommit: AsyncEngine, jobs: Jobs, many: bool, how: str
) -> None:
    repo = JobRepository()
    bind = autocommit if how == "of the engine" else engine.execution_options(isolation_level="AUTOCOMMIT")
    async with async_sessionmaker(bind)() as session:
        with pytest.raises(SessionError, match="in AUTOCOMMIT, so the job would be there at once"):
            await (repo.add_jobs(session, []) if many else repo.add_job(session, "a"))
    assert await jobs() == []
