"""The kit's time: what is due by it, and what waits from it on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gw_sqla import (
    AsyncSession,
    JobContext,
    JobRepository,
    JobState,
    Snooze,
    Snoozed,
    TaskRegistry,
)
from gw_sqla.testing import JobTester

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


async def test_snoozes(session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository) -> None:
    """No error, and no attempt; from the kit's time on."""

    @tasks.task("waits")
    async def waits() -> Snooze:
        return Snooze(timedelta(minutes=10), "the export is not ready")

    await repo.add_job(session, waits)
    for snoozes in (1, 2):
        await jobs.travel(hours=1)
        [snoozed] = (await jobs.run_jobs()).snoozed
        assert (snoozed.snoozes, snoozed.message) == (snoozes, "Snooze: the export is not ready")
        [job] = await jobs.added()
        assert job.attempts == 0
        assert abs(job.run_at - jobs.now - timedelta(minutes=10)) < timedelta(minutes=1)
    assert isinstance(await jobs.run(waits), Snoozed)


async def test_time_travel(session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository) -> None:
    """A retry waits for its backoff from the time of the failure, wherever the kit's clock is by then."""
    attempts: list[int] = []

    @tasks.task("fails", max_attempts=3, backoff=lambda attempts: timedelta(minutes=attempts))
    async def fails(ctx: JobContext) -> None:
        attempts.append(ctx.job.attempts)
        raise ValueError

    await repo.add_job(session, fails, run_at=datetime.now(UTC) + HOUR)
    assert (await jobs.run_jobs()).outcomes == []
    await jobs.travel(hours=1, seconds=1)
    assert len((await jobs.run_jobs(errors="record")).retried) == 1
    await jobs.travel(timedelta(seconds=50))
    assert (await jobs.run_jobs()).outcomes == []
    await jobs.travel(seconds=20)
    assert len((await jobs.run_jobs(errors="record")).retried) == 1
    assert attempts == [1, 2]
    [job] = await jobs.added()
    assert abs(job.run_at - jobs.now - timedelta(minutes=2)) < timedelta(minutes=1)
    assert len((await jobs.run_jobs(errors="record", due=job.run_at)).failed) == 1
    [job] = await jobs.added()
    assert (attempts, job.state) == ([1, 2, 3], JobState.FAILED)


async def test_a_clock_that_stands(session: AsyncSession, tasks: TaskRegistry, repo: JobRepository) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    midnight = datetime(2030, 1, 1, tzinfo=UTC)
    jobs = JobTester(session, tasks, now=midnight)
    await repo.add_job(session, note, run_at=midnight + HOUR)
    assert (await jobs.run_jobs()).outcomes == []
    assert await jobs.travel(to=midnight + HOUR) == jobs.now == midnight + HOUR
    assert len((await jobs.run_jobs()).completed) == 1


async def test_each_job_once_whenever_it_is_due(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("fails")
    async def fails() -> None:
        raise ValueError

    await repo.add_job(session, fails, run_at=datetime.now(UTC) + 100 * HOUR)
    report = await jobs.run_jobs(due="all", errors="record")
    assert str(report) == "completed 0, failed 0, retried 1, snoozed 0"
