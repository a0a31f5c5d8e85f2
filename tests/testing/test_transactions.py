"""Handlers' transactions inside the test's: what they commit is there, and nothing is left of it after the test."""

from __future__ import annotations

import anyio
import anyio.abc
import anyio.from_thread
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from gw_sqla import (
    AsyncSession,
    Failed,
    JobContext,
    JobRepository,
    JobState,
    JobTesterError,
    TaskRegistry,
)
from gw_sqla.testing import JobTester, rolled_back_session
from tests.testing.conftest import notes

pytestmark = pytest.mark.anyio

WRITE = text("insert into notes values (:note)")


async def test_a_handlers_commit_is_a_savepoints_release(
    kit_engine: AsyncEngine, tasks: TaskRegistry, repo: JobRepository
) -> None:
    seen: list[int] = []

    @tasks.task("write")
    async def write(payload: str, ctx: JobContext) -> None:
        seen.append(ctx.job.attempts)
        async with ctx.session() as own:
            await own.execute(WRITE, {"note": payload})
            await ctx.repository.add_job(own, "mail", {"to": payload})
            repo.add_job_on_commit(own, "mail", {"to": "on commit"})

    @tasks.task("mail")
    async def mail(payload: dict[str, str]) -> None: ...

    async with rolled_back_session(kit_engine) as session:
        await session.execute(text("create table notes (note text)"))
        jobs = JobTester(session, tasks)
        await repo.add_job(session, write, "a")
        report = await jobs.run_jobs(write)
        assert (len(report.completed), len(report.outcomes), seen) == (1, 1, [1])
        assert [job.task_identifier for job in report.left] == ["mail", "mail"]
        assert await notes(session) == ["a"]
        assert [job.payload["to"] for job in await jobs.added(mail)] == ["a", "on commit"]
        assert str(await jobs.run_jobs()) == "completed 2, failed 0, retried 0, snoozed 0"
        assert await jobs.added() == []
        await session.commit()
    async with AsyncSession(kit_engine) as look:
        with pytest.raises(DBAPIError):
            await notes(look)
        await look.rollback()
        assert await repo.list_jobs(look) == []


async def test_the_sessions_that_handlers_are_given(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    """One that fails loses what it did itself, and not what it had committed elsewhere."""

    @tasks.task("injected")
    async def injected(payload: str, own: AsyncSession) -> None:
        await own.execute(WRITE, {"note": payload})
        if payload == "fails":
            raise ValueError(payload)

    @tasks.task("transactional", transactional=True)
    async def transactional(payload: str, own: AsyncSession) -> None:
        await own.execute(WRITE, {"note": payload})

    @tasks.task("twice")
    async def twice(payload: str, ctx: JobContext) -> None:
        async with ctx.session() as own:
            await own.execute(WRITE, {"note": "committed before"})
        async with ctx.session() as own:
            await own.execute(WRITE, {"note": payload})
            raise ValueError(payload)

    @tasks.task("completes")
    async def completes(payload: str, ctx: JobContext) -> None:
        async with ctx.session() as own:
            await own.execute(WRITE, {"note": payload})
            await ctx.complete(own)
        raise ValueError("after the job was completed")

    await repo.add_job(session, injected, "fails")
    await repo.add_job(session, injected, "injected")
    await repo.add_job(session, transactional, "transactional")
    await repo.add_job(session, twice, "lost")
    await repo.add_job(session, completes, "completed")
    report = await jobs.run_jobs(errors="record")
    assert str(report) == "completed 3, failed 0, retried 2, snoozed 0"
    assert await notes(session) == ["committed before", "completed", "injected", "transactional"]
    assert [job.task_identifier for job in await jobs.added()] == ["injected", "twice"]


async def test_a_completion_that_is_rolled_back(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("rolls_back")
    async def rolls_back(ctx: JobContext) -> None:
        async with ctx.session() as own:
            await own.execute(WRITE, {"note": "a"})
            await ctx.complete(own)
            await own.rollback()

    await repo.add_job(session, rolls_back)
    report = await jobs.run_jobs(errors="record")
    assert [failed.message for failed in report.retried] == ["the transaction that completed the job was rolled back"]
    assert await notes(session) == []
    [job] = await jobs.added()
    assert (job.attempts, job.state) == (1, JobState.RETRYING)
    await jobs.travel(seconds=10)
    assert [job.state for job in await jobs.added()] == [JobState.READY]


async def test_an_aborted_transaction_is_got_back(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    """A handler that uses the test's own connection, and catches what PostgreSQL says."""

    @tasks.task("aborts")
    async def aborts() -> None:
        with pytest.raises(DBAPIError):
            await session.execute(text("select 1/0"))

    await repo.add_job(session, aborts)
    report = await jobs.run_jobs(errors="record")
    assert "aborted its transaction" in report.retried[0].message
    assert len(await jobs.added()) == 1


async def test_a_transaction_that_is_aborted_after_the_job_was_completed(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    """Nobody can be asked whether the job is there: nothing of it can be committed."""

    @tasks.task("aborts")
    async def aborts(payload: str, ctx: JobContext) -> None:
        async with ctx.session() as own:
            await own.execute(WRITE, {"note": payload})
            await ctx.complete(own)
        with pytest.raises(DBAPIError):
            await session.run_sync(_abort)

    await repo.add_job(session, aborts, "a")
    await session.commit()
    with anyio.fail_after(20):
        report = await jobs.run_jobs(errors="record")
    assert "aborted its transaction" in report.retried[0].message
    assert await notes(session) == []
    assert len(await jobs.added()) == 1
    with anyio.fail_after(20):
        outcome = await jobs.run(aborts, "a", errors="record")
    assert isinstance(outcome, Failed)
    assert "aborted its transaction" in outcome.message


def _abort(session: Session) -> None:
    bind = session.get_bind()
    assert isinstance(bind, Connection)
    bind.execute(text("select 1/0"))


async def test_a_connection_that_is_lost_after_the_job_was_completed(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    """The test ends with what the driver says; its transaction is gone."""

    @tasks.task("loses")
    async def loses(ctx: JobContext) -> None:
        async with ctx.session() as own:
            await ctx.complete(own)
        with pytest.raises(DBAPIError):
            await session.execute(text("select pg_terminate_backend(pg_backend_pid())"))

    await repo.add_job(session, loses)
    await session.commit()
    with anyio.fail_after(20), pytest.raises(JobTesterError, match="connection"):
        await jobs.run_jobs()


async def test_a_queue_of_a_test_beside_this_one_is_waited_for(
    kit_engine: AsyncEngine, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    async with AsyncSession(kit_engine) as committing:
        await repo.add_job(committing, note, queue_name="q")
        await committing.commit()
    done: list[str] = []

    async def run_second(session: AsyncSession) -> None:
        assert len((await JobTester(session, tasks).run_jobs()).completed) == 1
        done.append("second")

    async def run_first(group: anyio.abc.TaskGroup, second: AsyncSession) -> None:
        async with rolled_back_session(kit_engine) as first:
            for session in (first, second):
                await repo.add_job(session, note, queue_name="q")
            assert len((await JobTester(first, tasks).run_jobs()).completed) == 1
            group.start_soon(run_second, second)
            await _until_somebody_waits(kit_engine)
            done.append("first")

    async with rolled_back_session(kit_engine) as second, anyio.create_task_group() as group:
        await run_first(group, second)  # its transaction ends before the group
    assert done == ["first", "second"]


async def _until_somebody_waits(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as look:
        while not await look.scalar(text("select count(*) from pg_locks where not granted")):
            await look.rollback()


async def test_cancellation_undoes_the_job(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    began = anyio.Event()

    @tasks.task("waits")
    async def waits(ctx: JobContext) -> None:
        async with ctx.session() as own:
            await own.execute(WRITE, {"note": "committed"})
        began.set()
        await anyio.sleep_forever()

    await repo.add_job(session, waits)
    await session.commit()
    async with anyio.create_task_group() as group:

        async def cancel() -> None:
            await began.wait()
            group.cancel_scope.cancel()

        group.start_soon(cancel)
        await jobs.run_jobs()
    assert began.is_set()
    assert await notes(session) == []
    assert [(job.attempts, job.state) for job in await jobs.added()] == [(0, JobState.READY)]
