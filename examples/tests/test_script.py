"""script.py: its handler, alone and by a job."""

from __future__ import annotations

import pytest

from examples.script import CountItem, count_item
from examples.script import tasks as tasks_of_script
from gw_sqla import AsyncSession, FailPermanently, JobRepository, TaskRegistry
from gw_sqla.testing import JobTester

pytestmark = pytest.mark.anyio


@pytest.fixture
def tasks() -> TaskRegistry:
    return tasks_of_script


async def test_what_is_there_is_counted(jobs: JobTester, capsys: pytest.CaptureFixture[str]) -> None:
    await jobs.run(count_item, CountItem("tea"))
    assert capsys.readouterr().out == "tea: 3\n"


async def test_what_is_not_there_is_not_looked_for_again(session: AsyncSession, jobs: JobTester) -> None:
    await JobRepository().add_job(session, count_item, CountItem("cocoa"), queue_name="counting")
    report = await jobs.run_jobs(errors="record")
    assert [failed.message for failed in report.failed] == ["FailPermanently: there is no cocoa"]
    with pytest.raises(FailPermanently, match="there is no cocoa"):
        await jobs.run(count_item, CountItem("cocoa"))
