"""One handler, through the executor, without a job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from gw_sqla import (
    AsyncSession,
    Completed,
    Failed,
    InvalidPayloadError,
    JobContext,
    JobRepository,
    JobTesterError,
    RetryAfter,
    TaskRegistry,
)
from gw_sqla.testing import JobTester
from tests.execution import process_tasks
from tests.testing.conftest import notes

pytestmark = pytest.mark.anyio

WRITE = text("insert into notes values (:note)")


async def test_run(session: AsyncSession, jobs: JobTester, tasks: TaskRegistry) -> None:
    seen: list[object] = []
    times: list[datetime] = []
    later = datetime(2040, 1, 1, tzinfo=UTC)

    @tasks.task("plain")
    async def plain(payload: int) -> None:
        seen.append(payload)

    @tasks.task("context", priority=4, job_key=lambda payload: f"k{payload}")
    async def context(payload: int, ctx: JobContext) -> None:
        job = ctx.job
        seen.append((payload, job.attempts, job.max_attempts, job.priority, job.queue_name, job.key, job.flags))
        times.append(job.run_at)
        async with ctx.session() as own:
            await own.execute(WRITE, {"note": "a"})
            if payload == 2:
                await ctx.complete(own)

    assert isinstance(await jobs.run(plain, 1), Completed)
    await jobs.run("context", 1, attempt=3, queue_name="q", max_attempts=4, flags=["f"], run_at=later)
    await jobs.run(context, 2)
    assert seen == [1, (1, 3, 4, 4, "q", "k1", {"f": True}), (2, 1, 25, 4, None, "k2", None)]
    assert (times[0], times[1] <= jobs.now) == (later, True)
    assert await notes(session) == ["a", "a"]
    assert await jobs.added() == []


async def test_its_errors(session: AsyncSession, jobs: JobTester, tasks: TaskRegistry) -> None:
    @tasks.task("fails", transactional=True)
    async def fails(payload: int, own: AsyncSession) -> None:
        await own.execute(WRITE, {"note": "a"})
        raise RetryAfter(timedelta(minutes=payload))

    with pytest.raises(RetryAfter) as error:
        await jobs.run(fails, 1)
    assert error.value.__notes__[0].endswith("attempt 1 of 25")
    failed = await jobs.run(fails, 2, errors="record")
    assert isinstance(failed, Failed)
    assert failed.retry_after == timedelta(minutes=2)
    assert await notes(session) == []
    assert await jobs.added() == []
    with pytest.raises(InvalidPayloadError):
        await jobs.run(fails, "x")
    with pytest.raises(JobTesterError, match="attempt: must be 1 to 25"):
        await jobs.run(fails, 1, attempt=26)
    with pytest.raises(JobTesterError, match="no task 'fail': did you mean 'fails'"):
        await jobs.run("fail", 1)
    with pytest.raises(JobTesterError, match="errors: must be"):
        await jobs.run(fails, 1, errors="ignore")  # type: ignore[arg-type]


async def test_tasks_of_processes_run_here_or_are_refused(session: AsyncSession, repo: JobRepository) -> None:
    tasks = TaskRegistry()
    task = tasks.task("fails", run_in="process")(process_tasks.fail.handler)
    with pytest.raises(SystemExit, match="3"):  # itself, and not its text
        await JobTester(session, tasks).run(task, "SystemExit")
    refusing = JobTester(session, tasks, process_tasks="refuse")
    with pytest.raises(JobTesterError, match="task 'fails' runs in a process, which this tester was told to refuse"):
        await refusing.run(task, "long")
    await repo.add_job(session, "fails", "long")
    with pytest.raises(JobTesterError, match="told to refuse"):
        await refusing.run_jobs()
