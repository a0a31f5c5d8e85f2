"""nightly.py: when its jobs are added, and what they do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from examples.nightly import report
from examples.nightly import tasks as tasks_of_example
from gw_sqla import TaskRegistry
from gw_sqla.testing import JobTester

pytestmark = pytest.mark.anyio

FRIDAY = datetime(2030, 7, 5, tzinfo=UTC)


@pytest.fixture
def tasks() -> TaskRegistry:
    return tasks_of_example


async def test_reports_of_working_days(jobs: JobTester) -> None:
    found = jobs.cron_jobs(FRIDAY, FRIDAY + timedelta(days=2))
    reports = [job for job in found if job.task_identifier == "report"]
    assert [f"{job.run_at:%a %H:%M} {job.payload['region']}" for job in reports] == ["Fri 04:30 paris"]
    assert len([job for job in found if job.task_identifier == "tidy"]) == 48
    await jobs.run(report, reports[0].payload)
