"""One job, one outcome: what the database says after each way for a handler to end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    FailPermanently,
    JobDetails,
    JobRepository,
    JobState,
    RunCounts,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
)
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


async def the_job(sessions: Sessions, repo: JobRepository) -> JobDetails:
    async with sessions() as session:
        [job] = await repo.list_jobs(session)
    return job


async def run_failing(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository, *, failed: int = 1
) -> JobDetails:
    """Run what is ready, expect a failure, return the job as it is then."""
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=0, failed=failed)
    job = await the_job(sessions, repo)
    assert job.locked_at is None
    assert job.locked_by is None
    return job


async def test_completed_job_is_deleted(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository, add_job: AddJob
) -> None:
    seen: list[int] = []

    @tasks.task("count")
    async def count(payload: int) -> None:
        seen.append(payload)

    await add_job(count, 7)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=0)
    assert seen == [7]
    async with sessions() as session:
        assert await repo.list_jobs(session) == []


async def test_failed_job_waits_for_the_contracts_backoff(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository, add_job: AddJob
) -> None:
    @tasks.task("fail")
    async def fail(payload: dict[str, Any]) -> None:
        raise ValueError("no such order")

    before = datetime.now(UTC)
    await add_job(fail, {})
    job = await run_failing(engine, tasks, sessions, repo)
    assert job.last_error == "ValueError: no such order"
    assert (job.attempts, job.state) == (1, JobState.RETRYING)
    wait = (job.run_at - before).total_seconds()
    assert 2.718 < wait < 2.718 + 10
    assert job.updated_at == job.created_at


@pytest.mark.parametrize(("wait", "state"), [(timedelta(0), JobState.READY), (timedelta.max, JobState.RETRYING)])
async def test_tasks_own_backoff_replaces_it(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    repo: JobRepository,
    add_job: AddJob,
    wait: timedelta,
    state: JobState,
) -> None:
    attempts: list[int] = []

    def backoff(attempt: int) -> timedelta:
        attempts.append(attempt)
        return wait

    @tasks.task("fail", backoff=backoff)
    async def fail() -> None:
        raise ValueError

    await add_job(fail, max_attempts=3)
    runs = 3 if wait == timedelta(0) else 1
    job = await run_failing(engine, tasks, sessions, repo, failed=runs)
    assert attempts == list(range(1, runs + 1))
    assert job.state is (JobState.FAILED if runs == 3 else state)
    assert job.last_error == "ValueError"


async def test_broken_backoff_gives_way_to_the_contracts(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository, add_job: AddJob
) -> None:
    def backoff(attempt: int) -> timedelta:
        raise ZeroDivisionError

    @tasks.task("fail", backoff=backoff)
    async def fail() -> None:
        raise ValueError

    await add_job(fail)
    assert (await run_failing(engine, tasks, sessions, repo)).state is JobState.RETRYING


async def test_out_of_attempts_is_permanent(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository, add_job: AddJob
) -> None:
    @tasks.task("fail")
    async def fail() -> None:
        raise ValueError

    await add_job(fail, max_attempts=1)
    assert (await run_failing(engine, tasks, sessions, repo)).state is JobState.FAILED
    assert await Runner(engine, tasks).run_once() == RunCounts(0, 0)


async def test_fail_permanently(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository, add_job: AddJob
) -> None:
    @tasks.task("fail")
    async def fail() -> None:
        raise FailPermanently("the address does not exist")

    await add_job(fail)
    job = await run_failing(engine, tasks, sessions, repo)
    assert job.state is JobState.FAILED
    assert job.attempts == job.max_attempts == 25
    assert job.last_error == "FailPermanently: the address does not exist"


async def test_timeout_cancels_and_fails(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository, add_job: AddJob
) -> None:
    cancelled: list[bool] = []

    @tasks.task("slow", timeout=timedelta(milliseconds=20))
    async def slow() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(True)

    await add_job(slow)
    job = await run_failing(engine, tasks, sessions, repo)
    assert cancelled == [True]
    assert job.last_error == "TimeoutError: the task's timeout of 0:00:00.020000 has passed"


async def test_handlers_own_timeout_error_is_told_apart(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository, add_job: AddJob
) -> None:
    @tasks.task("slow", timeout=timedelta(hours=1))
    async def slow() -> None:
        with anyio.fail_after(0):
            await anyio.sleep_forever()

    await add_job(slow)
    assert (await run_failing(engine, tasks, sessions, repo)).last_error == "TimeoutError"


class Mail(BaseModel):
    to: str
    token: int


async def test_payload_that_does_not_fit_fails_the_job_and_hides_its_values(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository, add_job: AddJob
) -> None:
    @tasks.task("mail")
    async def mail(payload: Mail) -> None:
        raise AssertionError("never called")

    await add_job("mail", {"to": "a@example.com", "token": "s3cret"})
    job = await run_failing(engine, tasks, sessions, repo)
    assert job.last_error is not None
    assert job.last_error.startswith("payload: does not fit its task: token: ")
    assert "s3cret" not in job.last_error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (BaseException("odd"), "BaseException: odd"),
        (GeneratorExit(), "GeneratorExit"),
        (RecursionError("deep"), "RecursionError: deep"),
        (ValueError("a\0b \ud800"), "ValueError: a\\0b \\ud800"),
        (ExceptionGroup("two", [ValueError("x"), KeyError("y")]), "ExceptionGroup: two (2 sub-exceptions): "),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_whatever_is_raised_fails_one_job(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    repo: JobRepository,
    add_job: AddJob,
    error: BaseException,
    text: str,
) -> None:
    @tasks.task("fail")
    async def fail() -> None:
        raise error

    await add_job(fail)
    last_error = (await run_failing(engine, tasks, sessions, repo)).last_error
    assert last_error is not None
    assert last_error.startswith(text)


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_cancelled_error_of_the_handlers_own_fails_one_job(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository, add_job: AddJob
) -> None:
    @tasks.task("fail")
    async def fail() -> None:
        raise asyncio.CancelledError

    await add_job(fail)
    job = await run_failing(engine, tasks, sessions, repo)
    assert job.last_error == "CancelledError: raised by the handler, nothing cancelled it"


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
@pytest.mark.parametrize("concurrency", [1, 3])
async def test_cancellation_that_outlives_its_job_does_not_end_the_worker(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob, concurrency: int
) -> None:
    slots: list[asyncio.Task[Any]] = []

    @tasks.task("own")
    async def own() -> None:
        task = asyncio.current_task()
        assert task is not None
        slots.append(task)
        task.cancel()

    @tasks.task("late")
    async def late() -> None: ...

    settings = RunnerSettings(concurrency=concurrency, poll_interval=timedelta(milliseconds=50))
    async with Runner(engine, tasks, settings, observers=[recorder]):
        await add_job(own)
        await recorder.until(lambda: len(recorder.completed) == 1)
        slots[0].cancel()  # whoever was given the task of a job that has ended
        for _ in range(concurrency):
            await add_job(late)
        await recorder.until(lambda: len(recorder.completed) == 1 + concurrency)
        assert slots[0].done(), "its slot goes on in another task"
