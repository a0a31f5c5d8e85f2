"""Transactional handlers: what they write and the end of their job are one commit."""

from __future__ import annotations

import logging
from datetime import timedelta

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.asyncio import AsyncSession as SqlalchemySession

from gw_sqla import (
    AsyncSession,
    InvalidJobError,
    JobContext,
    LockLostError,
    RunCounts,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.jobs.outcomes import CompletedByHandler
from tests.execution.conftest import WRITE, Effects, Jobs
from tests.support.log import Log
from tests.support.recorder import Recorder
from tests.worker.conftest import ONLY_NOTIFIED, AddJob, log
from tests.worker.refusals import trigger

__all__ = ["log"]

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

STEAL = text("update graphile_worker._private_jobs set locked_by = 'another'")
NOT_UNLOCKED = """if tg_op = 'UPDATE' and old.locked_by is not null and new.locked_by is null then
  raise exception 'not yet';
end if;"""
LOCKED_QUEUES = text("select count(*) from graphile_worker._private_job_queues where locked_at is not null")


async def test_its_commit_completes_the_job_and_frees_the_queue(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, effects: Effects, jobs: Jobs, recorder: Recorder
) -> None:
    @tasks.task("write", transactional=True)
    async def write(payload: str, session: SqlalchemySession) -> None:
        await session.execute(WRITE, {"note": payload})

    notes = [f"note {number}" for number in range(5)]
    for note in notes:
        await add_job(write, note, queue_name="one at a time")
    async with Runner(engine, tasks, ONLY_NOTIFIED, observers=[recorder]):
        await recorder.until(lambda: len(recorder.completed) == 5)
    assert await effects() == notes
    assert await jobs() == []
    assert {type(outcome) for outcome in recorder.completed} == {CompletedByHandler}
    assert recorder.lost == []


@pytest.mark.parametrize("by_hand", [False, True])
async def test_a_lost_lock_lets_nothing_be_committed(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    add_job: AddJob,
    effects: Effects,
    jobs: Jobs,
    recorder: Recorder,
    sessions: Sessions,
    by_hand: bool,
) -> None:
    async def lose_the_lock(session: AsyncSession) -> None:
        await session.execute(WRITE, {"note": "written"})
        async with sessions.begin() as other:
            await other.execute(STEAL)

    if by_hand:

        @tasks.task("write")
        async def complete(ctx: JobContext) -> None:
            async with ctx.session() as session:
                await lose_the_lock(session)
                await ctx.complete(session)
    else:

        @tasks.task("write", transactional=True)
        async def declared(session: AsyncSession) -> None:
            await lose_the_lock(session)

    await add_job("write")
    assert await Runner(engine, tasks, observers=[recorder]).run_once() == RunCounts(0, 0)
    assert await effects() == []
    assert [(job.locked_by, job.last_error) for job in await jobs()] == [("another", None)]
    [lost] = recorder.lost
    assert "LockLostError: job" in str(lost)


async def test_by_hand_the_job_is_done_with_the_commit_whatever_comes_after(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    add_job: AddJob,
    effects: Effects,
    jobs: Jobs,
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    @tasks.task("write")
    async def write(payload: bool, ctx: JobContext) -> None:
        async with ctx.session() as session:
            await session.execute(WRITE, {"note": f"fails afterwards: {payload}"})
            await ctx.complete(session)
        assert ctx.job.id not in [job.id for job in await jobs()]
        if payload:
            raise ValueError("afterwards")

    caplog.set_level(logging.WARNING)
    for fails in (False, True):
        await add_job(write, fails, queue_name="q")
    assert await Runner(engine, tasks, observers=[recorder]).run_once() == RunCounts(completed=2, failed=0)
    assert await effects() == ["fails afterwards: False", "fails afterwards: True"]
    assert await jobs() == []
    assert recorder.lost == []
    assert "its own transaction completed it before, so it stays completed" in caplog.text


async def test_by_hand_a_rollback_fails_the_job(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, effects: Effects, jobs: Jobs, sessions: Sessions
) -> None:
    @tasks.task("write", backoff=lambda _: timedelta(hours=1))
    async def write(ctx: JobContext) -> None:
        async with sessions() as session:
            await session.execute(WRITE, {"note": "written"})
            await ctx.complete(session)
            await session.rollback()

    await add_job(write, queue_name="q")
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=0, failed=1)
    assert await effects() == []
    [job] = await jobs()
    assert job.last_error == "the transaction that completed the job was rolled back"
    assert (job.run_at - job.created_at).total_seconds() > 3000, "the task's own backoff"
    async with sessions() as session:
        assert await session.scalar(LOCKED_QUEUES) == 0


async def test_by_hand_another_transaction_may_complete_after_a_rollback(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, effects: Effects, jobs: Jobs, sessions: Sessions
) -> None:
    @tasks.task("write")
    async def write(ctx: JobContext) -> None:
        for note in ("first", "second"):
            async with sessions() as session:
                await session.execute(WRITE, {"note": note})
                await ctx.complete(session)
                with pytest.raises(LockLostError, match="was completed already"):
                    await ctx.complete(session)
                await (session.rollback() if note == "first" else session.commit())

    await add_job(write)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=0)
    assert await effects() == ["second"]
    assert await jobs() == []


async def test_what_a_handler_has_left_behind_completes_nothing(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob, log: Log
) -> None:
    """The job has failed by then, although that is not written yet."""
    raised: list[BaseException] = []
    ended = anyio.Event()

    @tasks.task("fail", max_attempts=1)
    async def fail(ctx: JobContext) -> None:
        group.start_soon(complete_late, ctx)
        raise ValueError

    async def complete_late(ctx: JobContext) -> None:
        await log.until(lambda: log.with_text("its outcome waits"))
        try:
            async with sessions.begin() as session:
                await ctx.complete(session)
        except LockLostError as error:
            raised.append(error)
        ended.set()

    async with anyio.create_task_group() as group, Runner(engine, tasks, observers=[recorder]):
        async with trigger(sessions, NOT_UNLOCKED):
            await add_job(fail)
            await ended.wait()
        await recorder.until(lambda: recorder.failed or recorder.lost)
    assert (len(recorder.failed), recorder.lost, len(raised)) == (1, [], 1)


async def test_complete_takes_a_session(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, sessions: Sessions
) -> None:
    refused = []

    @tasks.task("write")
    async def write(ctx: JobContext) -> None:
        async with sessions() as session:
            with pytest.raises(InvalidJobError, match=r"session: must be an AsyncSession, not Session") as caught:
                await ctx.complete(session.sync_session)  # type: ignore[arg-type]
            refused.append(caught.value.argument)

    await add_job(write)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=0)
    assert refused == ["session"]


async def test_cancelled_after_its_commit_it_stays_completed(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, effects: Effects, jobs: Jobs, recorder: Recorder
) -> None:
    committed = anyio.Event()

    @tasks.task("write")
    async def write(ctx: JobContext) -> None:
        async with ctx.session() as session:
            await session.execute(WRITE, {"note": "written"})
            await ctx.complete(session)
        committed.set()
        await anyio.sleep_forever()

    await add_job(write)
    async with Runner(engine, tasks, RunnerSettings(grace_period=timedelta(0)), observers=[recorder]):
        with anyio.fail_after(20):
            await committed.wait()
    assert await effects() == ["written"]
    assert await jobs() == []
    assert (len(recorder.completed), recorder.failed, recorder.lost) == (1, [], [])


SLOW_COMMIT = [
    """create function wait_for_4712() returns trigger language plpgsql as $$ begin
  perform pg_advisory_xact_lock_shared(4712); return null; end $$""",
    """create constraint trigger wait_for_4712 after insert on effects deferrable initially deferred
for each row execute function wait_for_4712()""",
]
WAITS = "select exists (select from pg_locks where locktype = 'advisory' and objid = 4712 and not granted)"


@pytest.mark.parametrize("transactional", [False, True])
async def test_a_deadline_that_passes_during_the_commit(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    add_job: AddJob,
    effects: Effects,
    recorder: Recorder,
    sessions: Sessions,
    transactional: bool,
) -> None:
    """What is committed has not timed out."""
    timeout = timedelta(seconds=1)

    @tasks.task("write", transactional=transactional, timeout=timeout)
    async def write(session: AsyncSession) -> None:
        await session.execute(WRITE, {"note": "written"})

    async with sessions.begin() as session:
        for sql in SLOW_COMMIT:
            await session.execute(text(sql))
    await add_job(write)
    async with Runner(engine, tasks, observers=[recorder]):
        async with sessions.begin() as held:
            await held.execute(text("select pg_advisory_xact_lock(4712)"))
            await recorder.until(lambda: recorder.started)
            deadline = anyio.current_time() + timeout.total_seconds()
            with anyio.fail_after(20):
                while not await held.scalar(text(WAITS)):  # noqa: ASYNC110 - of the server
                    await anyio.sleep(0.01)
            await anyio.sleep_until(deadline + 0.1)
        await recorder.until(lambda: recorder.completed or recorder.failed)
    assert [outcome.job.attempts for outcome in recorder.completed] == [1]
    assert await effects() == ["written"]
    async with sessions.begin() as session:
        await session.execute(text("drop function wait_for_4712 cascade"))
