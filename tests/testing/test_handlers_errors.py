"""What handlers raise is raised, or reported, and written as a worker writes it."""

from __future__ import annotations

import traceback
from datetime import timedelta

import anyio
import anyio.abc
import anyio.from_thread
import pytest
from sqlalchemy import text

from gw_sqla import (
    AsyncSession,
    FailPermanently,
    JobContext,
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
