"""Faults of handlers: each fails its one job, with a text for people; everything else goes on."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import anyio
import pytest
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobContext, RunCounts, Runner, RunnerSettings, Task, TaskRegistry
from tests.execution.conftest import WRITE, Effects, Jobs
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

LEFT_OPEN = "the handler left a task group or cancel scope open"


async def leave_a_task_group() -> None:
    task_group = anyio.create_task_group()
    await task_group.__aenter__()
    task_group.start_soon(anyio.sleep_forever)


async def leave_a_task_group_that_fails() -> None:
    async def fail() -> None:
        await anyio.sleep(0.01)
        raise ValueError("after its handler")

    task_group = anyio.create_task_group()
    await task_group.__aenter__()
    task_group.start_soon(fail)


async def leave_a_deadline() -> None:
    anyio.move_on_after(0.01).__enter__()


async def leave_a_generator() -> None:
    async def numbers() -> AsyncIterator[int]:
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(anyio.sleep_forever)
            yield 1

    kept.append(numbers())
    await anext(kept[-1])


kept: list[AsyncIterator[int]] = []


@pytest.mark.parametrize(
    "leave", [leave_a_task_group, leave_a_task_group_that_fails, leave_a_deadline, leave_a_generator]
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of what was left open, at its end
async def test_a_scope_that_is_left_open(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, jobs: Jobs, leave: Callable[[], Awaitable[None]]
) -> None:
    @tasks.task("leave")
    async def leave_open() -> None:
        await leave()

    @tasks.task("other")
    async def other() -> None:
        await anyio.sleep(0.03)  # time for what was left open to do its worst

    await add_job(leave_open, queue_name="q", priority=0)
    for _ in range(5):
        await add_job(other, priority=1)
    runner = Runner(engine, tasks, RunnerSettings(concurrency=1))
    assert await runner.run_once() == RunCounts(completed=5, failed=1)
    [job] = await jobs()
    assert (job.last_error, job.attempts, job.locked_at) == (LEFT_OPEN, 1, None)
    await add_job(other)
    assert (await runner.run_once()).completed == 1


async def test_every_slot_outlives_it(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, jobs: Jobs, recorder: Recorder
) -> None:
    @tasks.task("leave")
    async def leave() -> None:
        await leave_a_deadline()

    @tasks.task("other")
    async def other() -> None: ...

    settings = RunnerSettings(concurrency=2, poll_interval=timedelta(milliseconds=50))
    async with Runner(engine, tasks, settings, observers=[recorder]):
        for _ in range(6):
            await add_job(leave, max_attempts=1)
        await recorder.until(lambda: len(recorder.failed) == 6)
        for _ in range(4):
            await add_job(other)
        await recorder.until(lambda: len(recorder.completed) == 4)
    assert {job.last_error for job in await jobs()} == {LEFT_OPEN}


async def recurse() -> None:
    await recurse()


async def exit_the_program() -> None:
    sys.exit("bye")


async def raise_a_group() -> None:
    async with anyio.create_task_group() as task_group:
        task_group.start_soon(say_too_much)
        task_group.start_soon(anyio.sleep_forever)


async def break_its_text() -> None:
    class NoTextError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    raise NoTextError


async def say_too_much() -> None:
    raise ValueError("x" * 10_000)


async def raise_a_cycle() -> None:
    error = ValueError("round and round")
    error.__cause__ = KeyError("inner")
    error.__cause__.__cause__ = error
    raise error


async def raise_a_long_chain() -> None:
    link: BaseException | None = None
    for number in range(5000):
        error = ValueError(f"link {number}")
        error.__cause__ = link
        link = error
    assert link is not None
    raise link


async def raise_nested_groups() -> None:
    error: Exception = ValueError("innermost")
    for number in range(500):
        parts: list[Exception] = [error, ValueError("beside it")]
        error = ExceptionGroup(f"group {number}", parts)
    raise error


async def break_its_class() -> None:
    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            raise SystemExit(name)

        def __instancecheck__(cls, instance: object) -> bool:
            raise SystemExit

    class BrokenError(Exception, metaclass=Meta):
        def __str__(self) -> str:
            raise KeyboardInterrupt

        @property  # type: ignore[misc] # that is the point
        def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
            raise SystemExit

    raise BrokenError


FAULTS: dict[Callable[[], Awaitable[None]], str] = {
    raise_a_cycle: "ValueError: round and round",
    raise_a_long_chain: "ValueError: link 4999",
    raise_nested_groups: "ExceptionGroup: group 499",
    break_its_class: "BrokenError: (",
    recurse: "RecursionError: maximum recursion depth exceeded",
    exit_the_program: "SystemExit: bye",
    raise_a_group: "(1 sub-exception): ValueError: xxx",
    break_its_text: "NoTextError: (its text cannot be made: RuntimeError)",
    say_too_much: "xxx ...",
}


def later(_attempts: int) -> timedelta:
    """Not within a test, however slow the machine."""
    return timedelta(hours=1)


async def test_it_fails_one_job(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever its exception does when it is looked at, by the log too, in bounded time and length."""
    caplog.set_level(logging.DEBUG, "gw_sqla")

    @tasks.task("other")
    async def other() -> None: ...

    for fault in FAULTS:
        faulty = tasks.task(fault.__name__, backoff=later)(fault)
        for max_attempts in (1, 25):
            await add_job(faulty, max_attempts=max_attempts)
            await add_job(other)
    counts = await Runner(engine, tasks, RunnerSettings(concurrency=1)).run_once()
    assert (counts.completed, counts.failed) == (2 * len(FAULTS), 2 * len(FAULTS))
    failed = {(job.task_identifier, job.max_attempts): job for job in await jobs()}
    for fault, says in FAULTS.items():
        for max_attempts in (1, 25):
            job = failed.pop((fault.__name__, max_attempts))
            assert says in str(job.last_error)
            assert len(str(job.last_error)) <= 4000, says
            assert job.attempts == 1, says
    assert not failed
    assert max(len(record.getMessage()) for record in caplog.records) < 200_000


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_tasks_that_it_leaves_running_are_its_own(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob
) -> None:
    left: list[asyncio.Task[None]] = []

    @tasks.task("leave")
    async def leave() -> None:
        left.append(asyncio.create_task(anyio.sleep_forever()))

    await add_job(leave)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=0)
    assert not left[0].done()
    left[0].cancel()


class Card(BaseModel):
    number: str


SECRET = "4111-1111"


async def in_sql(session: AsyncSession) -> None:
    await session.execute(text("select cast(:number as int)"), {"number": 1})
    await session.execute(text("select 1 / cast(:zero as int) + length(:number)"), {"zero": 0, "number": SECRET})


async def in_a_constraint(session: AsyncSession) -> None:
    for _ in range(2):
        await session.execute(WRITE, {"note": SECRET})
    await session.execute(text("set constraints all immediate"))


async def in_validation(session: AsyncSession) -> None:
    Card.model_validate({"number": {"not text": SECRET}})


REVEALING: dict[Callable[[AsyncSession], Awaitable[None]], str] = {
    in_sql: "DivisionByZeroError: SQLSTATE 22012",
    in_a_constraint: "UniqueViolationError: SQLSTATE 23505",
    in_validation: "number: Input should be",
}


@pytest.mark.parametrize(("level", "max_attempts"), [(logging.DEBUG, 25), (logging.INFO, 25), (logging.INFO, 1)])
async def test_values_in_the_errors_of_libraries_are_kept_out(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    add_job: AddJob,
    effects: Effects,
    jobs: Jobs,
    caplog: pytest.LogCaptureFixture,
    level: int,
    max_attempts: int,
) -> None:
    def declare(reveal: Callable[[AsyncSession], Awaitable[None]]) -> Task[Card]:
        @tasks.task(reveal.__name__, backoff=later)
        async def reveals(payload: Card, session: AsyncSession, ctx: JobContext) -> None:
            await reveal(session)

        return reveals

    caplog.set_level(level, logger="gw_sqla")
    for reveal in REVEALING:
        await add_job(declare(reveal), Card(number=SECRET), max_attempts=max_attempts)
    counts = await Runner(engine, tasks, RunnerSettings(concurrency=1)).run_once()
    assert (counts.completed, counts.failed) == (0, len(REVEALING))
    errors = {job.task_identifier: str(job.last_error) for job in await jobs()}
    for reveal, says in REVEALING.items():
        assert says in errors[reveal.__name__]
        assert SECRET not in errors[reveal.__name__]
        is_traced = level == logging.DEBUG or max_attempts == 1
        assert (f"in {reveal.__name__}" in caplog.text) == is_traced, "its traceback"
    assert SECRET not in caplog.text
