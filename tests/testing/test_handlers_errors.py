"""What handlers raise is raised, or reported, and written as a worker writes it."""

from __future__ import annotations

import asyncio
import traceback
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import anyio
import anyio.abc
import anyio.from_thread
import anyio.lowlevel
import pytest
from sqlalchemy import text

from gw_sqla import (
    AsyncSession,
    FailPermanently,
    JobContext,
    JobFailedError,
    JobRepository,
    RetryAfter,
    TaskRegistry,
)
from gw_sqla.testing import JobTester
from tests.testing.conftest import notes

pytestmark = pytest.mark.anyio

WRITE = text("insert into notes values (:note)")


async def test_errors_are_raised_as_handlers_raised_them(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("fails")
    async def fails() -> None:
        raise LookupError("no such order")

    row = await repo.add_job(session, fails)
    await repo.add_job(session, fails)
    with pytest.raises(LookupError, match="no such order") as error:
        await jobs.run_jobs()
    assert traceback.extract_tb(error.value.__traceback__)[-1].name == "fails"
    assert error.value.__notes__ == [f"gw_sqla: job {row.id} of task 'fails', attempt 1 of 25"]
    first, second = await jobs.added()
    assert (first.attempts, first.last_error, first.locked_at) == (1, "LookupError: no such order", None)
    assert second.attempts == 0
    await session.execute(text("select 1"))  # the transaction goes on


async def test_kinds_of_failures(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    errors: dict[str, BaseException] = {
        "retried": RetryAfter(timedelta(minutes=10)),
        "failed": FailPermanently("never"),
    }

    @tasks.task("fails")
    async def fails(payload: str) -> None:
        raise errors[payload]

    await repo.add_jobs(session, [fails.spec(kind) for kind in errors])
    report = await jobs.run_jobs(errors="record")
    for kind, error in errors.items():
        [failed] = getattr(report, kind)
        assert failed.exception is error, kind
    assert report.exceptions == list(errors.values())
    assert report.left == []


async def test_timeouts_and_threads(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("slow", timeout=timedelta(milliseconds=50))
    async def slow(payload: str, own: AsyncSession) -> None:
        await own.execute(WRITE, {"note": payload})
        await anyio.sleep_forever()

    @tasks.task("sync")
    def sync(payload: str, ctx: JobContext) -> None:
        anyio.from_thread.run(ctx.add_job, "added", payload)

    await repo.add_job(session, slow, "a")
    await repo.add_job(session, sync, "b")
    report = await jobs.run_jobs(errors="record")
    assert str(report) == "completed 1, failed 0, retried 1, snoozed 0"
    assert "timeout" in report.retried[0].message
    assert await notes(session) == []
    await jobs.assert_added("added", "b")


kept: list[Any] = []
told: ContextVar[str] = ContextVar("told", default="")


async def leave_a_task_group() -> None:
    group = anyio.create_task_group()
    await group.__aenter__()
    group.start_soon(anyio.sleep_forever)


async def leave_a_deadline() -> None:
    kept.append(anyio.move_on_after(0))
    kept[-1].__enter__()


@pytest.mark.parametrize("leave", [leave_a_task_group, leave_a_deadline])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of what was left open, at its end
async def test_what_a_handler_leaves_open_is_not_left_to_the_test(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository, leave: Any
) -> None:
    """It fails its job, as in a worker."""

    @tasks.task("leaves")
    async def leaves() -> None:
        told.set("by the handler")
        await leave()

    await repo.add_job(session, leaves)
    await repo.add_job(session, leaves)
    report = await jobs.run_jobs(errors="record")
    assert {failed.message for failed in report.retried} == {"the handler left a task group or cancel scope open"}
    with pytest.raises(JobFailedError, match="left a task group or cancel scope open"):
        await jobs.run(leaves)
    await anyio.lowlevel.checkpoint()
    assert told.get() == ""


async def test_a_handler_that_cancels_its_task(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository, anyio_backend: str
) -> None:
    if anyio_backend == "trio":
        pytest.skip("a task of trio's cannot be cancelled by hand")

    @tasks.task("cancels")
    async def cancels() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    await repo.add_job(session, cancels)
    await jobs.run_jobs(errors="record")
    await anyio.lowlevel.checkpoint()
