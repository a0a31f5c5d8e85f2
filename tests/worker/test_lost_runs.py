"""A run whose lock was lost: what goes on of it, and when the next run of its job begins."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import anyio
import anyio.from_thread
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobContext, JobState, Runner, RunnerSettings, TaskRegistry, async_sessionmaker
from gw_sqla.repository import JobRepository
from gw_sqla.worker.slot import SPOILED_MESSAGE
from tests.support.log import Log
from tests.support.pools import locks
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

OFTEN = RunnerSettings(
    concurrency=3, poll_interval=timedelta(milliseconds=50), heartbeat_interval=timedelta(milliseconds=50)
)
UNLOCK = "update graphile_worker._private_jobs set locked_at = null, locked_by = null"


async def unlock(sessions: Sessions, later: str = "0 s") -> None:
    async with sessions.begin() as session:
        await session.execute(text(f"{UNLOCK}, run_at = now() + interval '{later}'"))


async def test_of_any_number_of_runs_one_goes_on_at_a_time(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob, log: Log
) -> None:
    """The first takes its time to clean up; the second is lost before it begins, the third waits for the first."""
    active: list[int] = []
    most: list[int] = []
    clean_up = anyio.Event()

    @tasks.task("work")
    async def work(ctx: JobContext) -> None:
        active.append(ctx.job.attempts)
        most.append(len(active))
        try:
            if ctx.job.attempts == 1:
                await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                if ctx.job.attempts == 1:
                    await clean_up.wait()
            active.remove(ctx.job.attempts)

    async with Runner(engine, tasks, OFTEN, observers=[recorder]):
        await add_job(work)
        await recorder.until(lambda: recorder.started)
        await unlock(sessions)
        await log.until(lambda: log.with_text("the lock of the job was lost while it ran"))
        async with sessions() as session:
            attempts = text("select attempts from graphile_worker._private_jobs")
            while await session.scalar(attempts) < 2:
                await session.rollback()
                await anyio.sleep(0.01)
        await unlock(sessions)
        await recorder.until(lambda: recorder.lost)  # the second, which had not begun
        async with sessions() as session:
            while await session.scalar(attempts) < 3:
                await session.rollback()
                await anyio.sleep(0.01)
        assert active == [1]
        clean_up.set()
        await recorder.until(lambda: recorder.completed)
    assert max(most) == 1
    assert recorder.completed[0].job.attempts == 3
    assert await locks(sessions) == (0, 0)


async def test_a_thread_keeps_its_job_until_it_ends(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """It cannot be cancelled: the next run of its job begins when it has ended, and is told lost all the same.

    The two of them have one slot: other jobs run in the other.
    """
    go_on = threading.Event()
    active: list[int] = []
    most: list[int] = []

    @tasks.task("work")
    def work(ctx: JobContext) -> None:
        active.append(ctx.job.attempts)
        most.append(len(active))
        if ctx.job.attempts == 1:
            go_on.wait(60)
        active.remove(ctx.job.attempts)

    @tasks.task("note")
    async def note() -> None: ...

    try:
        async with Runner(engine, tasks, replace(OFTEN, concurrency=2), observers=[recorder]):
            job = await add_job(work)
            await recorder.until(lambda: recorder.started)
            await unlock(sessions)
            await recorder.until(lambda: recorder.lost)
            async with sessions() as session:
                attempts = text("select attempts from graphile_worker._private_jobs")
                with anyio.fail_after(20):
                    while await session.scalar(attempts) < 2:
                        await session.rollback()
                        await anyio.sleep(0.01)
            await add_job(note)
            await recorder.until(lambda: recorder.completed)
            assert active == [1]
            go_on.set()
            await recorder.until(lambda: len(recorder.completed) == 2)
    finally:
        go_on.set()
    assert max(most) == 1
    assert (recorder.completed[1].job.id, recorder.completed[1].job.attempts) == (job.id, 2)


async def test_a_stop_does_not_wait_for_such_a_thread(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob, log: Log
) -> None:
    """Longer than its grace period, for which it says what it waits for."""
    go_on = threading.Event()

    @tasks.task("work")
    def work() -> None:
        go_on.wait(60)

    try:
        settings = RunnerSettings(
            heartbeat_interval=timedelta(milliseconds=50), grace_period=timedelta(milliseconds=50), concurrency=1
        )
        with anyio.fail_after(20):
            async with Runner(engine, tasks, settings, observers=[recorder]):
                job = await add_job(work)
                await recorder.until(lambda: recorder.started)
                await unlock(sessions, "1 hour")
                await recorder.until(lambda: recorder.lost)
    finally:
        go_on.set()
    assert log.with_text("running jobs are cancelled now") == [f"running jobs are cancelled now: job {job.id} (work)"]
    assert await locks(sessions) == (0, 0)


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_job_that_was_failed_by_hand_while_it_ran_does_not_run_again(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    key: str | None,
) -> None:
    """After 4 hours; its attempts are spent then, and the one that it is in is not given back."""
    release = anyio.Event()

    @tasks.task("work")
    async def work() -> None:
        await release.wait()

    async with Runner(engine, tasks, OFTEN, observers=[recorder]):
        job = await add_job(work, job_key=key, max_attempts=3)
        await recorder.until(lambda: recorder.started)
        async with sessions.begin() as session:
            await session.execute(
                text("update graphile_worker._private_jobs set locked_at = now() - interval '5 hours'")
            )
            await JobRepository().permanently_fail_jobs(session, [job.id], "by hand")
        release.set()
        await recorder.until(lambda: recorder.lost)
        with anyio.fail_after(20):
            while await locks(sessions) != (0, 0):  # noqa: ASYNC110 - of the server
                await anyio.sleep(0.01)
    async with sessions() as session:
        found = await JobRepository().get_job(session, job.id)
    assert found is not None
    assert (found.state, found.attempts, found.last_error) == (JobState.FAILED, 3, "by hand")
    assert len(recorder.started) == 1


@pytest.mark.parametrize("kind", ["scope", "group"])
async def test_a_cancelled_scope_that_a_handler_leaves_open_is_not_the_workers(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob, kind: str
) -> None:
    @tasks.task("leave", max_attempts=1)
    async def leave() -> None:
        if kind == "scope":
            scope = anyio.CancelScope()
            scope.__enter__()
        else:
            group = anyio.create_task_group()
            await group.__aenter__()
            scope = group.cancel_scope
        scope.cancel()
        await anyio.sleep_forever()

    @tasks.task("note")
    async def note() -> None: ...

    async with Runner(engine, tasks, OFTEN, observers=[recorder]):
        await add_job(leave)
        await recorder.until(lambda: recorder.failed)
        await add_job(note)
        await recorder.until(lambda: recorder.completed)
    assert recorder.failed[0].message == SPOILED_MESSAGE


async def test_an_interrupt_that_a_thread_raises_fails_its_job(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob
) -> None:
    """The user's Ctrl-C comes to the main thread."""

    @tasks.task("work", max_attempts=1)
    def work() -> None:
        raise KeyboardInterrupt

    await add_job(work)
    await Runner(engine, tasks, observers=[recorder]).run_once()
    assert recorder.failed[0].message.startswith("KeyboardInterrupt")


async def test_a_group_of_cancellations_is_one(
    engine: AsyncEngine, anyio_backend: str, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob
) -> None:
    """As a nursery of trio's raises; the job was shut down, and says so."""
    if anyio_backend != "trio":
        pytest.skip("asyncio's task groups raise none")
    import trio

    @tasks.task("work")
    async def work() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)

    async with Runner(engine, tasks, RunnerSettings(grace_period=timedelta(0)), observers=[recorder]):
        await add_job(work)
        await recorder.until(lambda: recorder.started)
    assert recorder.failed[0].message == "the worker was shut down before the job ended"


async def test_a_run_that_had_not_begun_spends_no_attempt_when_it_is_lost(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """It goes back, and its attempts were changed: the pool releases what it has locked and no run of its has."""
    release = anyio.Event()

    @tasks.task("hold")
    async def hold() -> None:
        await release.wait()

    settings = replace(OFTEN, concurrency=1, prefetch=4, prefetch_ttl=timedelta(milliseconds=300))
    waiting = await add_job(hold, priority=1, max_attempts=25)
    await add_job(hold)
    async with Runner(engine, tasks, settings, observers=[recorder]):
        await recorder.until(lambda: recorder.started)
        async with sessions.begin() as session:
            await session.execute(
                text(
                    f"update graphile_worker._private_jobs set attempts = 7, run_at = now() + interval '1 hour' "
                    f"where id = {waiting.id}"
                )
            )
        await recorder.until(lambda: recorder.lost)
        with anyio.fail_after(20):
            while await locks(sessions) != (1, 0):  # noqa: ASYNC110 - of the server
                await anyio.sleep(0.01)
        release.set()
    async with sessions() as session:
        job = await JobRepository().get_job(session, waiting.id)
    assert job is not None
    assert job.attempts == 6
