"""A handler that asks for an AsyncSession gets one: committed when it returns, rolled back when it does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.asyncio import AsyncSession as SqlalchemySession

from gw_sqla import AsyncSession, JobContext, RunCounts, Runner, RunnerSettings, Task, TaskRegistry
from gw_sqla.models import Job
from tests.execution.conftest import WRITE, Effects, Jobs
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio


async def test_session_is_committed_when_the_handler_returns(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, effects: Effects
) -> None:
    @tasks.task("ours")
    async def ours(payload: str, session: AsyncSession) -> None:
        await session.execute(WRITE, {"note": payload})
        async with session.begin_nested():
            await session.execute(WRITE, {"note": "in a savepoint"})

    @tasks.task("sqlalchemys")
    async def sqlalchemys(ctx: JobContext, *, session: SqlalchemySession) -> None:
        assert isinstance(session, AsyncSession)
        await session.execute(WRITE, {"note": ctx.job.task_identifier})
        await ctx.repository.add_job(session, unused)

    @tasks.task("unused")
    async def unused(session: AsyncSession) -> None: ...

    await add_job(ours, "a note")
    await add_job(sqlalchemys)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=3, failed=0)
    assert await effects() == ["a note", "in a savepoint", "sqlalchemys"]


async def fail(session: AsyncSession) -> None:
    raise ValueError("no")


async def take_too_long(session: AsyncSession) -> None:
    await anyio.sleep_forever()


async def take_too_long_and_hide_it(session: AsyncSession) -> None:
    try:
        await anyio.sleep_forever()
    except anyio.get_cancelled_exc_class():
        pass


async def close(session: AsyncSession) -> None:
    await session.close()


async def roll_back(session: AsyncSession) -> None:
    await session.rollback()


async def roll_back_and_go_on(session: AsyncSession) -> None:
    await session.rollback()
    await session.execute(WRITE, {"note": "in another transaction"})


async def catch_an_error(session: AsyncSession) -> None:
    """PostgreSQL's commit of such a transaction is a rollback, and no error."""
    with suppress(DBAPIError):
        await session.execute(text("select 1 / 0"))


async def catch_an_error_of_a_flush(session: AsyncSession) -> None:
    session.add(Job(id=None))
    with suppress(DBAPIError):
        await session.flush()


async def break_what_commit_checks(session: AsyncSession) -> None:
    await session.execute(WRITE, {"note": "written"})


ENDS: dict[Callable[[AsyncSession], Awaitable[None]], str] = {
    fail: "ValueError: no",
    take_too_long: "TimeoutError: the task's timeout of 0:00:00.500000 has passed",
    take_too_long_and_hide_it: "TimeoutError: the task's timeout of 0:00:00.500000 has passed",
    close: "RuntimeError: the handler ended the transaction of its session",
    roll_back: "RuntimeError: the handler ended the transaction of its session",
    roll_back_and_go_on: "RuntimeError: the handler ended the transaction of its session",
    catch_an_error: "RuntimeError: the handler caught an error of the database that has aborted its transaction",
    catch_an_error_of_a_flush: "PendingRollbackError: ",
    break_what_commit_checks: "SQLSTATE 23505, schema public, table effects, constraint effects_note_key",
}


def later(_attempts: int) -> timedelta:
    """Not within a test, however slow the machine."""
    return timedelta(hours=1)


@pytest.mark.parametrize("transactional", [False, True])
async def test_nothing_is_committed_and_the_job_fails(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    add_job: AddJob,
    effects: Effects,
    jobs: Jobs,
    transactional: bool,
) -> None:
    """And the next job of its queue runs."""

    def declare(then: Callable[[AsyncSession], Awaitable[None]]) -> Task[Any]:
        @tasks.task(then.__name__, timeout=timedelta(milliseconds=500), backoff=later, transactional=transactional)
        async def write(session: AsyncSession) -> None:
            await session.execute(WRITE, {"note": "written"})
            await then(session)

        return write

    @tasks.task("other")
    async def other(session: AsyncSession) -> None: ...

    for then in ENDS:
        await add_job(declare(then), queue_name="q")
        await add_job(other, queue_name="q")
    counts = await Runner(engine, tasks, RunnerSettings(concurrency=2)).run_once()
    assert (counts.completed, counts.failed) == (len(ENDS), len(ENDS))
    assert await effects() == []
    failed = {job.task_identifier: job for job in await jobs()}
    for then, says in ENDS.items():
        job = failed.pop(then.__name__)
        assert says in str(job.last_error)
        assert (job.attempts, job.locked_at) == (1, None), says
    assert not failed


async def test_a_commit_of_the_handlers_own_fails_the_job_too(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, effects: Effects, jobs: Jobs
) -> None:
    @tasks.task("write")
    async def write(session: AsyncSession) -> None:
        await session.execute(WRITE, {"note": "written"})
        await session.commit()

    await add_job(write)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=0, failed=1)
    [job] = await jobs()
    assert "the handler ended the transaction of its session" in str(job.last_error)


async def test_the_end_of_the_grace_period_rolls_back(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, effects: Effects, jobs: Jobs, recorder: Recorder
) -> None:
    written = anyio.Event()

    @tasks.task("write")
    async def write(session: AsyncSession) -> None:
        await session.execute(WRITE, {"note": "written"})
        written.set()
        await anyio.sleep_forever()

    await add_job(write)
    async with Runner(engine, tasks, RunnerSettings(grace_period=timedelta(0)), observers=[recorder]):
        with anyio.fail_after(20):
            await written.wait()
    assert await effects() == []
    assert [job.last_error for job in await jobs()] == ["the worker was shut down before the job ended"]
