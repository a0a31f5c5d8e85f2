"""What cron items would add between two times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gw_sqla import AsyncSession, CronItem, JobTesterError, RunnerSettings, TaskRegistry
from gw_sqla.testing import JobTester

pytestmark = pytest.mark.anyio

MIDNIGHT = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def kind() -> str:
    return "asyncio+asyncpg"


async def test_cron_jobs(session: AsyncSession) -> None:
    tasks = TaskRegistry()

    @tasks.cron("0 4 * * *", payload={"region": "paris"}, queue_name="reports", priority=3)
    @tasks.task("report", max_attempts=5)
    async def report(payload: dict[str, object]) -> None: ...

    settings = RunnerSettings(crontab=[CronItem("hourly", "0 3-4 * * *")])
    jobs = JobTester(session, tasks, settings=settings)
    found = jobs.cron_jobs(MIDNIGHT, MIDNIGHT + DAY)
    four = MIDNIGHT + timedelta(hours=4)
    assert [(job.task_identifier, job.run_at) for job in found] == [
        ("hourly", four - timedelta(hours=1)),
        ("report", four),
        ("hourly", four),
    ]
    report_job = found[1]
    assert report_job.payload == {
        "region": "paris",
        "_cron": {"ts": "2030-01-01T04:00:00.000Z", "backfilled": False},
    }
    assert (report_job.queue_name, report_job.priority, report_job.max_attempts) == ("reports", 3, 5)
    assert jobs.cron_jobs(MIDNIGHT, MIDNIGHT + timedelta(hours=3)) == []
    assert isinstance(report_job.payload, dict)
    await jobs.run(report, report_job.payload)


async def test_refusals(session: AsyncSession, jobs: JobTester, tasks: TaskRegistry) -> None:
    with pytest.raises(JobTesterError, match="there are no cron items"):
        jobs.cron_jobs(MIDNIGHT, MIDNIGHT + DAY)

    @tasks.cron("* * * * *")
    @tasks.task("often")
    async def often() -> None: ...

    with pytest.raises(JobTesterError, match="end: must be a datetime with a time zone"):
        jobs.cron_jobs(MIDNIGHT, MIDNIGHT.replace(tzinfo=None))
    with pytest.raises(JobTesterError, match="end: must not be before start"):
        jobs.cron_jobs(MIDNIGHT, MIDNIGHT - DAY)
    with pytest.raises(JobTesterError, match="more than 100000 jobs"):
        jobs.cron_jobs(MIDNIGHT, MIDNIGHT + 1000 * DAY)
