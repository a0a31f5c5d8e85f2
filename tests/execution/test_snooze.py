"""Snooze: the job runs later and has not failed, whatever kind of handler says so."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    JobContext,
    JobDetails,
    JobState,
    RunCounts,
    Runner,
    RunnerSettings,
    Snooze,
    Snoozed,
    TaskRegistry,
    async_sessionmaker,
    load_executable_tasks,
)
from tests.execution import process_tasks
from tests.execution.conftest import WRITE, Effects, Jobs
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]
Again = Callable[[], Awaitable[None]]

WAIT = timedelta(minutes=10)


@pytest.fixture
def again(sessions: Sessions) -> Again:
    """Let what waits be due now."""

    async def make_due() -> None:
        async with sessions.begin() as session:
            await session.execute(
                text("update graphile_worker._private_jobs set run_at = now() where locked_at is null")
            )

    return make_due


async def counts(sessions: Sessions) -> list[tuple[int, str]]:
    """Return how often each job was snoozed, and why."""
    async with sessions() as session:
        found = await session.execute(
            text("select snoozes, reason from graphile_worker._private_sqla_snoozes order by job_id")
        )
        return [tuple(row) for row in found]


def waits(job: JobDetails, delay: timedelta = WAIT) -> bool:
    """Whether the job waits for about this long, its first attempt ahead of it."""
    left = job.run_at - datetime.now(UTC)
    return job.attempts == 0 and job.last_error is None and delay - timedelta(minutes=1) < left <= delay


@pytest.mark.parametrize("way", ["raise", "return"])
async def test_the_job_waits_and_keeps_its_attempt(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    add_job: AddJob,
    jobs: Jobs,
    recorder: Recorder,
    sessions: Sessions,
    way: str,
) -> None:
    @tasks.task("poll", backoff=lambda _: timedelta(0))
    async def poll(payload: str) -> Any:
        if payload == "raise":
            raise Snooze(WAIT, "not there yet")
        return Snooze(WAIT, "not there yet")

    added = await add_job(poll, way, queue_name="q", job_key="k")
    assert await Runner(engine, tasks, observers=[recorder]).run_once() == RunCounts(0, 0, {}, 1)
    [job] = await jobs()
    assert waits(job)
    assert (job.id, job.state, job.locked_by, job.key, job.payload) == (added.id, JobState.SCHEDULED, None, "k", way)
    [told] = recorder.snoozed
    assert (told.job.id, told.delay, told.message, told.snoozes) == (added.id, WAIT, "Snooze: not there yet", 1)
    assert [recorder.failed, recorder.returned, recorder.completed] == [[], [], []]
    assert await counts(sessions) == [(1, "Snooze: not there yet")]
    async with sessions() as session:
        assert await session.scalar(text("select bool_and(is_available) from graphile_worker._private_job_queues"))


async def test_it_is_counted_and_bounded(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    add_job: AddJob,
    jobs: Jobs,
    recorder: Recorder,
    sessions: Sessions,
    again: Again,
) -> None:
    """One snooze too many is a failure like others, and the count begins anew."""

    @tasks.task("poll", backoff=lambda _: timedelta(hours=5))
    async def poll() -> None:
        raise Snooze(WAIT, limit=2)

    await add_job(poll, max_attempts=2)
    runner = Runner(engine, tasks, observers=[recorder])
    for _ in range(2):
        await runner.run_once()
        await again()
    assert [told.snoozes for told in recorder.snoozed] == [1, 2]
    await runner.run_once()
    [failed] = recorder.failed
    assert failed.message.startswith("Snooze: for 0:10:00 (not snoozed: 2 times were enough")
    assert isinstance(failed.exception, Snooze)
    [job] = await jobs()
    assert (job.attempts, job.last_error) == (1, failed.message)
    assert job.run_at - datetime.now(UTC) > timedelta(hours=4), "the task's backoff"
    assert await counts(sessions) == []
    for _ in range(3):
        await again()
        await runner.run_once()
    assert [told.snoozes for told in recorder.snoozed] == [1, 2, 1, 2]
    [job] = await jobs()
    assert (job.state, job.attempts) == (JobState.FAILED, 2)


async def test_run_once_ends_though_a_job_snoozes_for_no_time(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob
) -> None:
    @tasks.task("poll", backoff=lambda _: timedelta(0))
    async def poll() -> Snooze:
        return Snooze(timedelta(0), limit=3)

    await add_job(poll, max_attempts=2)
    assert await Runner(engine, tasks).run_once() == RunCounts(0, 2, {}, 6)


async def test_in_a_thread(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, jobs: Jobs) -> None:
    @tasks.task("raises")
    def raises() -> None:
        raise Snooze(WAIT)

    @tasks.task("returns")
    def returns() -> Snooze:
        return Snooze(WAIT)

    for task in (raises, returns):
        await add_job(task)
    assert (await Runner(engine, tasks).run_once()).snoozed == 2
    assert [waits(job) for job in await jobs()] == [True, True]


async def test_in_a_process(
    engine: AsyncEngine, add_job: AddJob, jobs: Jobs, recorder: Recorder, sessions: Sessions
) -> None:
    for way in ("raise", "return"):
        await add_job(process_tasks.snooze, way)
    await Runner(engine, process_tasks.tasks, RunnerSettings(concurrency=1), observers=[recorder]).run_once()
    assert [waits(job) for job in await jobs()] == [True, True]
    assert await counts(sessions) == [(1, "Snooze: not there yet")] * 2
    assert [told.limit for told in recorder.snoozed] == [1, 1]


@pytest.mark.parametrize("way", ["raise", "return"])
async def test_what_the_session_wrote(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, jobs: Jobs, effects: Effects, way: str
) -> None:
    """Raised, it rolls back; returned, it commits."""

    @tasks.task("poll")
    async def poll(payload: str, session: AsyncSession) -> Any:
        await session.execute(WRITE, {"note": "seen"})
        if payload == "raise":
            raise Snooze(WAIT)
        return Snooze(WAIT)

    await add_job(poll, way)
    await Runner(engine, tasks).run_once()
    [job] = await jobs()
    assert waits(job)
    assert await effects() == (["seen"] if way == "return" else [])


async def test_a_transactional_task_raises_it(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, jobs: Jobs, effects: Effects, recorder: Recorder
) -> None:
    """Its commit would complete the job, so there is nothing that a returned one could mean."""

    @tasks.task("poll", transactional=True)
    async def poll(payload: str, session: AsyncSession) -> Any:
        await session.execute(WRITE, {"note": "seen"})
        if payload == "raise":
            raise Snooze(WAIT)
        return Snooze(WAIT)

    await add_job(poll, "raise")
    await add_job(poll, "return")
    await Runner(engine, tasks, RunnerSettings(concurrency=1), observers=[recorder]).run_once()
    raised, returned = sorted(await jobs(), key=lambda job: job.id)
    assert waits(raised)
    assert (returned.attempts, "raise it, which rolls" in str(returned.last_error)) == (1, True)
    assert await effects() == []


async def test_what_completed_the_job_wins(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    @tasks.task("poll")
    async def poll(payload: str, ctx: JobContext) -> None:
        async with ctx.session() as session:
            await ctx.complete(session)
            if payload == "rolled back":
                raise Snooze(WAIT)
        raise Snooze(WAIT)

    await add_job(poll, "committed")
    assert await Runner(engine, tasks).run_once() == RunCounts(1, 0)
    assert "was snoozed, but its own transaction completed it before" in caplog.text
    await add_job(poll, "rolled back")
    assert (await Runner(engine, tasks).run_once()).snoozed == 1
    [job] = await jobs()
    assert waits(job)


async def test_of_a_batch_the_items_that_are_left(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, jobs: Jobs, recorder: Recorder
) -> None:
    """For the longest of their delays. Where one has failed, so has the job."""

    @tasks.task("many", batch=True)
    async def many(payload: list[int]) -> list[Exception | None]:
        return [
            ValueError("odd") if item < 0 else Snooze(timedelta(minutes=item)) if item else None for item in payload
        ]

    @tasks.task("whole", batch=True)
    async def whole(payload: list[int]) -> Snooze:
        return Snooze(WAIT)

    for task, payload in (
        (many, [5, 0, 10]),
        (many, [5, -1, 0]),
        (whole, [1, 2]),
        (process_tasks.snooze_in_part, [0, 10]),
    ):
        await add_job(task, payload)
    await Runner(
        engine, {**tasks, **process_tasks.tasks}, RunnerSettings(concurrency=1), observers=[recorder]
    ).run_once()
    part, failed, all_of_it, process = sorted(await jobs(), key=lambda job: job.id)
    assert (waits(part), part.payload) == (True, [5, 10])
    assert (failed.attempts, failed.payload) == (1, [5, -1])
    assert failed.last_error == "2 of 3 items failed, the first with Snooze: for 0:05:00"
    assert (waits(all_of_it), all_of_it.payload) == (True, [1, 2])
    assert (waits(process), process.payload) == (True, [10])
    assert recorder.snoozed[0].message == "2 of 3 items were snoozed, the first with Snooze: for 0:05:00"


async def test_a_program_cannot(engine: AsyncEngine, add_job: AddJob, jobs: Jobs, tmp_path: Path) -> None:
    """In Graphile Worker's contract it is done, or has failed: no exit code says more to a Node worker."""
    program = tmp_path / "later.sh"
    program.write_text("#!/bin/sh\nexit 75\n")  # EX_TEMPFAIL
    program.chmod(0o755)
    await add_job("later")
    assert await Runner(engine, load_executable_tasks(tmp_path)).run_once() == RunCounts(0, 1)
    [job] = await jobs()
    assert job.attempts == 1


async def test_a_removed_or_replaced_job_does_not_come_back(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, jobs: Jobs, recorder: Recorder, sessions: Sessions
) -> None:
    """While it ran somebody took its key and its attempts."""

    @tasks.task("poll")
    async def poll(payload: str) -> None:
        async with sessions.begin() as session:
            await session.execute(text("select graphile_worker.remove_job('k')"))
        raise Snooze(timedelta(0))

    await add_job(poll, "removed", job_key="k")
    assert await Runner(engine, tasks, observers=[recorder]).run_once() == RunCounts(0, 1)
    [job] = await jobs()
    assert (job.state, job.key) == (JobState.FAILED, None)
    assert "or the job was removed or replaced" in str(job.last_error)
    assert await counts(sessions) == []


async def test_a_lost_lock_is_told(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, jobs: Jobs, recorder: Recorder, sessions: Sessions
) -> None:
    @tasks.task("poll")
    async def poll() -> None:
        async with sessions.begin() as session:
            await session.execute(text("update graphile_worker._private_jobs set locked_by = 'another'"))
        raise Snooze(WAIT)

    await add_job(poll)
    await Runner(engine, tasks, observers=[recorder]).run_once()
    assert [type(outcome) for outcome in recorder.lost] == [Snoozed]
    assert recorder.snoozed == []
    [job] = await jobs()
    assert (job.locked_by, job.attempts) == ("another", 1)
    assert await counts(sessions) == []


async def test_a_locked_row_is_written_later(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, jobs: Jobs, sessions: Sessions, recorder: Recorder
) -> None:
    """By the write that goes around locks, which counts it once."""
    blocker = sessions()

    @tasks.task("poll")
    async def poll() -> None:
        await blocker.execute(text("select from graphile_worker._private_jobs for update"))
        raise Snooze(WAIT)

    @tasks.task("free")
    async def free() -> None: ...

    await add_job(poll)
    async with Runner(engine, tasks, RunnerSettings(concurrency=2), observers=[recorder]):
        await recorder.until(lambda: recorder.started)
        await add_job(free)
        await recorder.until(lambda: recorder.completed)
        assert recorder.snoozed == []
        await blocker.rollback()
        await recorder.until(lambda: recorder.snoozed)
    await blocker.close()
    assert [told.snoozes for told in recorder.snoozed] == [1]
    assert await counts(sessions) == [(1, "Snooze: for 0:10:00")]


async def test_it_is_logged_as_news(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gw_sqla")

    @tasks.task("poll")
    async def poll() -> None:
        raise Snooze(WAIT, "password=secret")

    job = await add_job(poll)
    await Runner(engine, tasks).run_once()
    assert f"job {job.id} (poll) is snoozed for 10 min, for the 1. time: Snooze: password=***" in caplog.text
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.parametrize(
    "arguments",
    [{"delay": timedelta(seconds=-1)}, {"delay": 60}, {"delay": WAIT, "limit": 0}, {"delay": WAIT, "limit": True}],
)
def test_impossible_snoozes(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^(delay|limit): must be"):
        Snooze(**arguments)
