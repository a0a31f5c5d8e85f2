"""A failure can be diagnosed: by the log, by observers, by who waits for the jobs to end."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import anyio
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import FailPermanently, JobFailedError, JobState, RetryAfter, Runner, RunnerSettings, TaskRegistry
from gw_sqla.execution.process_pool import HandlerFailedError
from tests.execution import process_tasks
from tests.execution.conftest import Jobs
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio


class NoSuchOrderError(Exception):
    """What a handler of the tests raises."""


def failures(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return what was logged of failures at this level."""
    return [
        record.getMessage() for record in caplog.records if record.levelno == level and "failed" in record.getMessage()
    ]


async def test_what_is_tried_again_is_a_warning_and_says_when(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "gw_sqla")

    @tasks.task("charge")
    async def charge() -> None:
        raise NoSuchOrderError("17")

    @tasks.task("slow", backoff=lambda _: timedelta(hours=3))
    async def slow() -> None:
        raise NoSuchOrderError("18")

    first, second = await add_job(charge), await add_job(slow, max_attempts=2)
    await Runner(engine, tasks, RunnerSettings(concurrency=1)).run_once()
    assert failures(caplog, logging.WARNING) == [
        f"job {first.id} (charge, attempt 1 of 25) failed, the next is in 2.7 s: NoSuchOrderError: 17",
        f"job {second.id} (slow, attempt 1 of 2) failed, the next is in 3 h: NoSuchOrderError: 18",
    ]
    assert failures(caplog, logging.ERROR) == []
    traces = failures(caplog, logging.DEBUG)
    assert ["raise NoSuchOrderError" in trace for trace in traces] == [True, True]


async def test_what_is_final_is_an_error_with_its_traceback(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, caplog: pytest.LogCaptureFixture
) -> None:
    @tasks.task("charge")
    async def charge(payload: str) -> None:
        if payload == "never":
            raise FailPermanently("no such customer")
        raise NoSuchOrderError("17")

    last, never = await add_job(charge, "", max_attempts=1), await add_job(charge, "never")
    await Runner(engine, tasks, RunnerSettings(concurrency=1)).run_once()
    said = failures(caplog, logging.ERROR)
    assert [line.partition("\n")[0] for line in said] == [
        f"job {last.id} (charge, attempt 1 of 1) failed permanently: NoSuchOrderError: 17",
        f"job {never.id} (charge, attempt 1 of 25) failed permanently: FailPermanently: no such customer",
    ]
    assert 'raise NoSuchOrderError("17")' in said[0]
    assert failures(caplog, logging.WARNING) == []


async def test_observers_are_given_the_exception(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, recorder: Recorder
) -> None:
    error = NoSuchOrderError("17")

    @tasks.task("charge")
    async def charge() -> None:
        raise error

    @tasks.task("many", batch=True)
    async def many(payload: list[int]) -> list[Exception | None]:
        return [None, error]

    @tasks.task("slow", timeout=timedelta(milliseconds=1))
    async def slow() -> None:
        await anyio.sleep_forever()

    for task, payload in ((charge, None), (many, [1, 2]), (slow, None)):
        await add_job(task, payload)
    await add_job(process_tasks.fail, "ValueError")
    await Runner(engine, {**tasks, **process_tasks.tasks}, observers=[recorder]).run_once()
    found = {outcome.job.task_identifier: outcome.exception for outcome in reversed(recorder.failed)}  # the first runs
    assert found["charge"] is error
    assert isinstance(found["many"], ExceptionGroup)
    assert found["many"].exceptions == (error,)
    assert isinstance(found["slow"], TimeoutError)
    assert isinstance(found["fail"], HandlerFailedError)
    assert "raise {" in found["fail"].traceback


async def test_run_once_raises_the_handlers_own(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob) -> None:
    """When all is run and written."""
    done: list[int] = []

    @tasks.task("charge")
    async def charge(payload: int) -> None:
        if payload < 0:
            raise NoSuchOrderError(str(payload))
        done.append(payload)

    for payload in (-1, 2):
        await add_job(charge, payload)
    runner = Runner(engine, tasks, RunnerSettings(concurrency=1))
    with pytest.raises(NoSuchOrderError, match="-1"):
        await runner.run_once(raise_errors=True)
    assert done == [2]
    for payload in (-3, -4):
        await add_job(charge, payload)
    with pytest.raises(ExceptionGroup, match="2 jobs failed") as caught:
        await runner.run_once(raise_errors=True)
    assert [str(error) for error in caught.value.exceptions] == ["-3", "-4"]
    counts = await runner.run_once(raise_errors=True)
    assert (counts.completed, counts.failed, counts.failed_tasks) == (0, 0, {})


async def test_a_failure_without_an_exception_is_raised_too(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob
) -> None:
    await add_job(process_tasks.batch, [1])
    with pytest.raises(JobFailedError, match=r"job \d+ \(batch\) failed: 1 of 1 items failed, the first"):
        await Runner(engine, process_tasks.tasks).run_once(raise_errors=True)


async def test_counts_name_the_tasks(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob) -> None:
    @tasks.task("charge")
    async def charge() -> None:
        raise NoSuchOrderError

    for _ in range(2):
        await add_job(charge)
    counts = await Runner(engine, tasks).run_once()
    assert counts.failed_tasks == {"charge": 2}
    assert str(counts) == "completed 0, failed 2 (charge: 2)"
    assert str(counts + counts) == "completed 0, failed 4 (charge: 4)"


async def test_a_handler_that_is_told_when_to_come_again(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, jobs: Jobs
) -> None:
    """In place of the backoff; of a batch the longest that its items were told."""
    delay = timedelta(minutes=10)

    @tasks.task("loop", backoff=lambda _: timedelta(0))
    async def in_loop() -> None:
        raise RetryAfter(delay, "429 Too Many Requests")

    @tasks.task("thread")
    def in_thread() -> None:
        raise RetryAfter(delay)

    @tasks.task("batch in loop", batch=True)
    async def in_batch(payload: list[int]) -> list[Exception | None]:
        return [RetryAfter(timedelta(seconds=1)), None, RetryAfter(delay), ValueError("untold")]

    for task in (in_loop, in_thread, process_tasks.come_again):
        await add_job(task)
    await add_job(in_batch, [1, 2, 3, 4])
    await add_job(process_tasks.come_again_in_part, [1, 2])
    counts = await Runner(engine, {**tasks, **process_tasks.tasks}, RunnerSettings(concurrency=1)).run_once()
    assert (counts.completed, counts.failed) == (0, 5)
    for job in await jobs():
        assert timedelta(minutes=9) < job.run_at - job.created_at < timedelta(minutes=11), job.task_identifier
        assert job.attempts == 1, job.task_identifier
        assert "RetryAfter: " in str(job.last_error), job.task_identifier


async def test_the_last_attempt_is_the_last(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, jobs: Jobs
) -> None:
    @tasks.task("told")
    async def told() -> None:
        raise RetryAfter(timedelta(hours=1))

    await add_job(told, max_attempts=1)
    await Runner(engine, tasks).run_once()
    [job] = await jobs()
    assert (job.state, job.last_error) == (JobState.FAILED, "RetryAfter: in 1:00:00")


@pytest.mark.parametrize("delay", [timedelta(seconds=-1), 5, None])
def test_a_delay_that_cannot_be_waited(delay: Any) -> None:
    with pytest.raises(ValueError, match=r"^delay: must be a timedelta that is not negative, is "):
        RetryAfter(delay)


async def test_a_backoff_may_see_what_was_raised(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, jobs: Jobs
) -> None:
    seen: list[object] = []

    def backoff(attempts: int, error: BaseException | None) -> timedelta:
        seen.append((attempts, type(error)))
        return timedelta(hours=2)

    def of_attempts(attempts: int, factor: int = 2) -> timedelta:
        seen.append((attempts, factor))
        return timedelta(hours=2)

    @tasks.task("seen", backoff=backoff)
    async def is_seen() -> None:
        raise NoSuchOrderError

    @tasks.task("counted", backoff=of_attempts)
    async def is_counted() -> None:
        raise NoSuchOrderError

    await add_job(is_seen)
    await add_job(is_counted)
    await Runner(engine, tasks, RunnerSettings(concurrency=1)).run_once()
    assert seen == [(1, NoSuchOrderError), (1, 2)]
    assert all(job.run_at - job.created_at > timedelta(hours=1) for job in await jobs())
