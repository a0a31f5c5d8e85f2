"""How jobs flow: who wakes whom, in which order jobs run, and who may run them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    JobContext,
    JobRepository,
    JobState,
    RunCounts,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
)
from tests.support.recorder import Recorder
from tests.worker.conftest import ONLY_NOTIFIED, AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


async def test_commit_wakes_the_worker_and_rollback_does_not(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository, recorder: Recorder
) -> None:
    @tasks.task("note")
    async def note(payload: str) -> None: ...

    async with Runner(engine, tasks, ONLY_NOTIFIED, observers=[recorder]):
        async with sessions() as session:
            await repo.add_job(session, note, "rolled back")
            await session.rollback()
        async with sessions.begin() as session:
            async with session.begin_nested() as savepoint:
                await repo.add_job(session, note, "in a savepoint")
                await savepoint.rollback()
            await repo.add_job(session, note, "committed")
        await recorder.until(lambda: recorder.completed)
    assert [job.payload for job in recorder.started] == ["committed"]


async def test_poll_finds_what_nobody_announced(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.task("later")
    async def later() -> None: ...

    settings = RunnerSettings(poll_interval=timedelta(milliseconds=20))
    async with Runner(engine, tasks, settings, observers=[recorder]):
        due = datetime.now(UTC) + timedelta(milliseconds=300)
        await add_job(later, run_at=due)
        await recorder.until(lambda: recorder.completed)
        assert datetime.now(UTC) >= due


async def test_retry_runs_when_its_backoff_is_over(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.task("second_time", backoff=lambda _: timedelta(milliseconds=50))
    async def second_time(ctx: JobContext) -> None:
        if ctx.job.attempts == 1:
            raise ValueError

    settings = RunnerSettings(poll_interval=timedelta(milliseconds=20))
    async with Runner(engine, tasks, settings, observers=[recorder]):
        await add_job("second_time")
        await recorder.until(lambda: recorder.completed)
    assert [outcome.job.attempts for outcome in recorder.failed] == [1]
    assert recorder.completed[0].job.attempts == 2


async def test_queue_is_serial_and_goes_on_without_polling(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob
) -> None:
    running: set[int] = set()

    @tasks.task("serial")
    async def serial(payload: int) -> None:
        assert not running, "two jobs of one queue at once"
        running.add(payload)
        await anyio.lowlevel.checkpoint()
        running.remove(payload)

    for number in range(20):
        await add_job(serial, number, queue_name="one")
    async with (
        Runner(engine, tasks, ONLY_NOTIFIED, observers=[recorder]),
        Runner(engine, tasks, ONLY_NOTIFIED, observers=[recorder]),
    ):
        await recorder.until(lambda: len(recorder.completed) == 20)
    assert [outcome.job.payload for outcome in recorder.completed] == list(range(20))


async def test_jobs_without_a_queue_run_side_by_side(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob) -> None:
    together = anyio.Event()
    waiting = 0

    @tasks.task("meet")
    async def meet() -> None:
        nonlocal waiting
        waiting += 1
        if waiting == 4:
            together.set()
        with anyio.fail_after(10):
            await together.wait()

    for _ in range(4):
        await add_job(meet)
    assert await Runner(engine, tasks, ONLY_NOTIFIED).run_once() == RunCounts(completed=4, failed=0)


async def test_priority_then_run_at(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, recorder: Recorder
) -> None:
    @tasks.task("order")
    async def order(payload: str) -> None: ...

    past = datetime.now(UTC) - timedelta(hours=1)
    await add_job(order, "third", run_at=past)
    await add_job(order, "second", priority=-1)
    await add_job(order, "first", priority=-1, run_at=past, queue_name="q")
    await Runner(engine, tasks, RunnerSettings(concurrency=1), observers=[recorder]).run_once()
    assert [job.payload for job in recorder.started] == ["first", "second", "third"]


async def test_forbidden_flags_and_unknown_tasks_are_left_to_others(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository, add_job: AddJob
) -> None:
    @tasks.task("mine")
    async def mine() -> None: ...

    await add_job(mine, flags=["heavy", "other"])
    await add_job(mine, flags=["other"])
    await add_job("not_mine")
    settings = RunnerSettings(forbidden_flags=["heavy"])
    assert await Runner(engine, tasks, settings).run_once() == RunCounts(completed=1, failed=0)
    async with sessions() as session:
        left = await repo.list_jobs(session)
    assert {(job.task_identifier, job.attempts, job.state) for job in left} == {
        ("mine", 0, JobState.READY),
        ("not_mine", 0, JobState.READY),
    }


async def test_jobs_are_routed_by_their_flags(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository, add_job: AddJob
) -> None:
    """And what a job adds, in a queue whose first job is another worker's."""
    ran: list[int] = []

    @tasks.task("mine")
    async def mine(payload: int, ctx: JobContext) -> None:
        ran.append(payload)
        if payload == 1:
            await ctx.add_job(mine, 2, queue_name="q", flags=["gpu", "fast"])

    await add_job(mine, 1, queue_name="r", flags=["gpu"])
    for payload, flags in ((3, None), (4, ["fast"]), (5, ["gpu", "windows"]), (6, ["gpu", "old"])):
        await add_job(mine, payload, queue_name="q", flags=flags)
    settings = RunnerSettings(accepted_flags=["gpu"], flag_allowlist=["gpu", "fast", "old"], forbidden_flags=["old"])
    assert await Runner(engine, tasks, settings).run_once() == RunCounts(completed=2, failed=0)
    assert ran == [1, 2]
    async with sessions() as session:
        left = await repo.list_jobs(session)
    assert {(job.payload, job.attempts, job.state) for job in left} == {
        (payload, 0, JobState.READY) for payload in (3, 4, 5, 6)
    }


async def test_run_once_runs_what_jobs_add_and_what_queues_hold(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob
) -> None:
    @tasks.task("chain")
    async def chain(payload: int, ctx: JobContext) -> None:
        if payload:
            await ctx.add_job(chain, payload - 1, queue_name="q")

    await add_job(chain, 10)
    await add_job(chain, 10, queue_name="q")
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=22, failed=0)


async def test_more_jobs_than_slots(engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions) -> None:
    running = 0
    most = 0

    @tasks.task("many")
    async def many() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.lowlevel.checkpoint()
        running -= 1

    async with sessions.begin() as session:
        await JobRepository().add_jobs(session, [many.spec()] * 500)
    assert await Runner(engine, tasks, RunnerSettings(concurrency=7)).run_once() == RunCounts(500, 0)
    assert 1 < most <= 7


async def test_task_identifier_that_a_peer_collected_works_on(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob, sessions: Sessions
) -> None:
    @tasks.task("collected")
    async def collected() -> None: ...

    async with Runner(engine, tasks, ONLY_NOTIFIED, observers=[recorder]):
        async with sessions.begin() as session:
            await session.execute(text("delete from graphile_worker._private_tasks"))
        await add_job(collected)
        await recorder.until(lambda: recorder.completed)
