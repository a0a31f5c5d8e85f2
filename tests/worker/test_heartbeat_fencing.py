"""A worker that lost a lock, or was taken for dead while it lived, is told; it spoils nothing of the new owner's."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobRepository, Runner, RunnerSettings, TaskRegistry, async_sessionmaker
from gw_sqla.jobs.outcomes import Completed, Failed, Returned
from gw_sqla.worker.rust_tables import RustWorkers
from gw_sqla.worker.sweeps import Sweeps
from tests.support.pools import locks, registered
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

OFTEN = RunnerSettings(
    heartbeat_interval=timedelta(milliseconds=20),
    poll_interval=timedelta(milliseconds=50),
    recovery_delay=timedelta(0),  # its own first sweep may be the one that takes it for dead
)
LOST = "the lock of the job was lost while it ran"


async def take(sessions: Sessions, job_id: int) -> None:
    """Let another own the job."""
    async with sessions.begin() as session:
        await session.execute(
            text("update graphile_worker._private_jobs set locked_by = 'another' where id = :id"), {"id": job_id}
        )


async def attempts(sessions: Sessions) -> int:
    """Return how often the only job was claimed."""
    async with sessions() as session:
        [job] = await JobRepository().list_jobs(session)
    return job.attempts


async def declare_dead(engine: AsyncEngine, sessions: Sessions, delay: timedelta = timedelta(0)) -> None:
    """Sweep as another worker would if no heartbeat had come for long."""
    sweeper = Sweeps(engine, "graphile_worker", RustWorkers("graphile_worker"))
    async with sessions.begin() as session:
        await session.execute(
            text("update graphile_worker._private_sqla_workers set heartbeat_threshold = '-1 second'")
        )
    with anyio.fail_after(20):
        while await dead_pools(sessions):
            await sweeper.recover(delay)
    await sweeper.close()


async def dead_pools(sessions: Sessions) -> int:
    """Return how many pools are registered with a threshold that they cannot keep."""
    async with sessions() as session:
        count = await session.execute(
            text("select count(*) from graphile_worker._private_sqla_workers where heartbeat_threshold < '0 seconds'")
        )
    return int(count.scalar_one())


async def test_the_handler_whose_lock_was_lost_is_cancelled_and_no_other(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = anyio.Event()

    @tasks.task("wait")
    async def wait() -> None:
        await release.wait()

    settings = RunnerSettings(heartbeat_interval=timedelta(milliseconds=20), concurrency=2)
    async with Runner(engine, tasks, settings, observers=[recorder]):
        lost, kept = await add_job(wait), await add_job(wait)
        await recorder.until(lambda: len(recorder.started) == 2)
        await take(sessions, lost.id)
        await recorder.until(lambda: recorder.lost)
        release.set()
        await recorder.until(lambda: recorder.completed)
        more = [await add_job(wait) for _ in range(4)]  # both slots go on
        await recorder.until(lambda: len(recorder.completed) == 5)
    assert [(outcome.job.id, getattr(outcome, "message", None)) for outcome in recorder.lost] == [(lost.id, LOST)]
    assert {outcome.job.id for outcome in recorder.completed} == {kept.id, *(job.id for job in more)}
    assert recorder.failed == []
    assert f"job {lost.id} (wait) is cancelled: {LOST}" in caplog.text
    async with sessions() as session:
        [job] = await JobRepository().list_jobs(session)
    assert (job.id, job.locked_by, job.last_error) == (lost.id, "another", None)


async def test_a_worker_that_was_taken_for_dead_goes_on(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its runs are cut off, it registers again under its id, claims the same job anew and completes it."""
    begun = 0

    @tasks.task("wait")
    async def wait() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            await anyio.sleep_forever()

    async with Runner(engine, tasks, OFTEN, observers=[recorder]):
        [pool_id] = await registered(sessions)
        await add_job(wait, queue_name="q")
        await recorder.until(lambda: recorder.started)
        await declare_dead(engine, sessions)
        await recorder.until(lambda: recorder.completed)
        with anyio.fail_after(20):  # it may have the job again before its next heartbeat tells it what happened
            while await registered(sessions) != [pool_id]:  # noqa: ASYNC110 - of the server
                await anyio.sleep(0.01)
    assert [type(outcome) for outcome in recorder.lost] == [Failed]
    assert recorder.completed[0].job.attempts == 2
    assert recorder.failed == []
    assert await locks(sessions) == (0, 0)
    assert caplog.text.count("this worker was taken for dead") == 1
    assert caplog.text.count("this worker is registered again") == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_a_handler_that_ends_after_all_has_no_say(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    fails: bool,
) -> None:
    """It swallows the cancellation. The same pool has the job again by then, and that run counts.

    It begins when the older one has ended: a job runs once at a time.
    """
    running = begun = 0

    @tasks.task("wait")
    async def wait() -> None:
        nonlocal begun, running
        begun += 1
        assert running == 0
        running += 1
        try:
            if begun == 1:
                with anyio.CancelScope(shield=True), anyio.fail_after(20):
                    while await attempts(sessions) < 2:  # noqa: ASYNC110 - of the server
                        await anyio.sleep(0.01)
                if fails:
                    raise ValueError
        finally:
            running -= 1

    async with Runner(engine, tasks, OFTEN, observers=[recorder]):
        await add_job(wait, queue_name="q")
        await recorder.until(lambda: recorder.started)
        await declare_dead(engine, sessions)
        await recorder.until(lambda: recorder.completed)
    assert [type(outcome) for outcome in recorder.lost] == [Failed if fails else Completed]
    assert [outcome.job.attempts for outcome in recorder.completed] == [2]
    assert recorder.failed == []


async def test_prefetched_jobs_whose_locks_are_gone_are_not_begun(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.task("wait")
    async def wait() -> None:
        await anyio.sleep_forever()

    settings = RunnerSettings(
        heartbeat_interval=timedelta(milliseconds=20), concurrency=1, prefetch=4, grace_period=timedelta(0)
    )
    jobs = [await add_job(wait) for _ in range(3)]
    async with Runner(engine, tasks, settings, observers=[recorder]):
        await recorder.until(lambda: recorder.started)
        await take(sessions, jobs[1].id)
        await recorder.until(lambda: recorder.lost)
    assert [(type(outcome), outcome.job.id) for outcome in recorder.lost] == [(Returned, jobs[1].id)]
    assert [outcome.job.id for outcome in recorder.returned] == [jobs[2].id]
    assert await locks(sessions) == (1, 0)


async def test_a_shutdown_while_a_lost_run_goes_on(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """The run is reported as lost, not failed, whichever cancellation comes first."""
    cancelled = anyio.Event()

    @tasks.task("wait")
    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
            with anyio.CancelScope(shield=True):
                await stopping.wait()

    stopping = anyio.Event()
    settings = RunnerSettings(heartbeat_interval=timedelta(milliseconds=20), grace_period=timedelta(0))
    async with Runner(engine, tasks, settings, observers=[recorder]) as runner:
        job = await add_job(wait)
        await recorder.until(lambda: recorder.started)
        await take(sessions, job.id)
        with anyio.fail_after(20):
            await cancelled.wait()
        runner.stop()
        stopping.set()
    assert len(recorder.lost) == 1
    assert recorder.failed == []
