"""What became of a transaction that completes the job is known as soon as it has ended, and then goes for the lock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    JobContext,
    JobRepository,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
    call_asyncio,
)
from gw_sqla.database import transaction_end
from tests.execution.conftest import WRITE, Effects, Jobs
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]
End = Callable[[Sessions, JobContext], Awaitable[None]]

OFTEN = RunnerSettings(heartbeat_interval=timedelta(milliseconds=50), poll_interval=timedelta(milliseconds=50))
DELETE = "delete from graphile_worker._private_jobs"


async def rolled_back(sessions: Sessions, ctx: JobContext) -> None:
    async with sessions() as session:
        await ctx.complete(session)
        await session.rollback()


async def closed(sessions: Sessions, ctx: JobContext) -> None:
    async with sessions() as session:
        await ctx.complete(session)


async def savepoint_rolled_back(sessions: Sessions, ctx: JobContext) -> None:
    async with sessions.begin() as session:
        savepoint = await session.begin_nested()
        await ctx.complete(session)
        await savepoint.rollback()


async def savepoint_released_and_rolled_back(sessions: Sessions, ctx: JobContext) -> None:
    async with sessions() as session:
        async with session.begin_nested():
            await ctx.complete(session)
        await session.rollback()


async def aborted(sessions: Sessions, ctx: JobContext) -> None:
    """PostgreSQL answers such a commit with a rollback, and no error."""
    async with sessions() as session:
        await ctx.complete(session)
        with suppress(DBAPIError):
            await session.execute(text("select 1 / 0"))
        with pytest.raises(DBAPIError, match="current transaction is aborted"):
            await session.commit()


@pytest.mark.parametrize(
    "end", [rolled_back, closed, savepoint_rolled_back, savepoint_released_and_rolled_back, aborted]
)
async def test_a_rollback(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob, end: End
) -> None:
    """The handler works on with the lock, which somebody takes away: it is cancelled, and not called completed."""
    ended = anyio.Event()

    @tasks.task("work")
    async def work(ctx: JobContext) -> None:
        await end(sessions, ctx)
        ended.set()
        await anyio.sleep_forever()

    async with Runner(engine, tasks, OFTEN, observers=[recorder]):
        await add_job(work)
        with anyio.fail_after(20):
            await ended.wait()
        async with sessions.begin() as session:
            await session.execute(text(DELETE))
        await recorder.until(lambda: recorder.lost)
    assert (recorder.completed, recorder.failed) == ([], [])


async def savepoint_released(sessions: Sessions, ctx: JobContext) -> None:
    async with sessions.begin() as session, session.begin_nested():
        await ctx.complete(session)


async def twice(sessions: Sessions, ctx: JobContext) -> None:
    await rolled_back(sessions, ctx)
    await savepoint_released(sessions, ctx)


@pytest.mark.parametrize("end", [savepoint_released, twice])
async def test_a_commit(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob, end: End
) -> None:
    @tasks.task("work")
    async def work(ctx: JobContext) -> None:
        await end(sessions, ctx)
        raise ValueError("afterwards")

    async with Runner(engine, tasks, OFTEN, observers=[recorder]):
        await add_job(work)
        await recorder.until(lambda: recorder.completed)
    assert (recorder.lost, recorder.failed) == ([], [])


@pytest.mark.parametrize("commits", [False, True])
async def test_a_session_that_does_not_end_its_transaction(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    jobs: Jobs,
    commits: bool,
) -> None:
    """It is on a connection of the handler's: what the session says of its commit is not the database's word."""

    @tasks.task("work", backoff=lambda _: timedelta(hours=1))
    async def work(ctx: JobContext) -> None:
        connection = await call_asyncio(engine.connect().start)
        transaction = await call_asyncio(connection.begin().start)
        async with AsyncSession(connection, join_transaction_mode="create_savepoint") as session:
            await ctx.complete(session)
            await session.commit()
        await call_asyncio(transaction.commit if commits else transaction.rollback)
        await call_asyncio(connection.close)

    await add_job(work)
    await Runner(engine, tasks, observers=[recorder]).run_once()
    assert (len(recorder.completed), len(recorder.failed)) == ((1, 0) if commits else (0, 1))
    assert recorder.lost == []
    assert len(await jobs()) == (not commits)


@pytest.mark.parametrize("how", ["returns", "raises", "group"])
async def test_cancelled_after_the_commit_it_is_completed_however_it_ends(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob, how: str
) -> None:
    committed = anyio.Event()

    @tasks.task("work")
    async def work(ctx: JobContext) -> None:
        async with ctx.session() as session:
            await ctx.complete(session)
        committed.set()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
        except BaseException as error:
            if how == "returns":
                return
            raise ValueError("interrupted") if how == "raises" else error from None

    await add_job(work)
    async with Runner(engine, tasks, RunnerSettings(grace_period=timedelta(0)), observers=[recorder]):
        with anyio.fail_after(20):
            await committed.wait()
    assert (len(recorder.completed), recorder.failed, recorder.lost) == (1, [], [])


async def test_an_unlocked_run_completes_nothing(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """Its job was replaced by its key and claimed anew by the same worker, in the same attempt."""
    replaced = anyio.Event()
    texts: list[str] = []

    @tasks.task("work", transactional=True)
    async def work(session: AsyncSession, payload: str) -> None:
        texts.append(payload)
        if payload == "old":
            with anyio.CancelScope(shield=True):
                await replaced.wait()

    settings = RunnerSettings(concurrency=2, poll_interval=timedelta(milliseconds=50))
    async with Runner(engine, tasks, settings, observers=[recorder]):
        await add_job(work, "old", job_key="k")
        await recorder.until(lambda: recorder.started)
        async with sessions.begin() as session:
            await session.execute(text("update graphile_worker._private_jobs set locked_by = null, locked_at = null"))
            await JobRepository().add_job(session, work, "new", job_key="k")
        async with sessions() as session:
            is_locked = text("select locked_at is not null from graphile_worker._private_jobs")
            while not await session.scalar(is_locked):
                await session.rollback()
                await anyio.sleep(0.01)
        replaced.set()
        await recorder.until(lambda: recorder.completed)
    assert texts == ["old", "new"]
    assert [outcome.job.payload for outcome in recorder.completed] == ["new"]


@pytest.mark.parametrize("whose", ["the worker's", "the handler's"])
async def test_a_stop_does_not_wait_for_a_commit_for_long(
    whose: str,
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    effects: Effects,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The commit waits for a transaction that does not end."""
    monkeypatch.setattr(transaction_end, "CANCELLED_COMMIT_SECONDS", 0.1)

    if whose == "the worker's":

        @tasks.task("work")
        async def work(session: AsyncSession) -> None:
            await session.execute(WRITE, {"note": "written"})
    else:

        @tasks.task("work")
        async def work(ctx: JobContext) -> None:
            async with ctx.session() as session:
                await session.execute(WRITE, {"note": "written"})

    async with sessions.begin() as session:
        await session.execute(
            text(
                "create or replace function wait_for_4713() returns trigger language plpgsql as "
                "$$ begin perform pg_advisory_xact_lock(4713); return null; end $$"
            )
        )
        await session.execute(
            text(
                "create constraint trigger wait after insert on effects deferrable initially deferred "
                "for each row execute function wait_for_4713()"
            )
        )
    async with sessions() as holder:
        await holder.execute(text("select pg_advisory_xact_lock(4713)"))
        with anyio.fail_after(20):
            async with Runner(engine, tasks, RunnerSettings(grace_period=timedelta(0)), observers=[recorder]):
                await add_job(tasks["work"])
                waits = text("select count(*) from pg_locks where locktype = 'advisory' and not granted")
                while not await holder.scalar(waits):  # noqa: ASYNC110 - of the server
                    await anyio.sleep(0.01)
    assert [outcome.message for outcome in recorder.failed] == ["the worker was shut down before the job ended"]
    assert (await effects(), recorder.completed) == ([], [])


async def test_a_locked_row_delays_a_transactional_task(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """It waits with its transaction, and others go on; a stop ends the wait."""
    begun = anyio.Event()

    @tasks.task("work", transactional=True)
    async def work(session: AsyncSession) -> None:
        await begun.wait()

    @tasks.task("note")
    async def note() -> None: ...

    async with Runner(engine, tasks, OFTEN, observers=[recorder]):
        job = await add_job(work)
        await recorder.until(lambda: recorder.started)
        async with sessions() as session:
            await session.execute(text("select from graphile_worker._private_jobs for update"))
            begun.set()
            await add_job(note)
            await recorder.until(lambda: recorder.completed)
            await session.rollback()
        await recorder.until(lambda: len(recorder.completed) == 2)
    assert recorder.completed[1].job.id == job.id
    assert (recorder.lost, recorder.failed) == ([], [])
