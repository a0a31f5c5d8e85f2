"""executable_tasks: programs in any language, run as tasks by the kit too."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gw_sqla import AsyncSession, ExecutableFailedError, JobRepository, TaskRegistry, load_executable_tasks
from gw_sqla.testing import JobTester

pytestmark = pytest.mark.anyio


@pytest.fixture
def tasks() -> TaskRegistry:
    return load_executable_tasks(Path(__file__).parents[1] / "executable_tasks")


async def test_words_are_counted(jobs: JobTester, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await jobs.run("word_count", {"text": "to be or not to be"}, attempt=2)
    assert "attempt 2: 6 words of JSON" in caplog.text


async def test_a_letter_without_an_address(session: AsyncSession, jobs: JobTester) -> None:
    await JobRepository().add_job(session, "mail/send", {"from": "ada@example.com"})
    with pytest.raises(ExecutableFailedError, match="the payload has no address"):
        await jobs.run_jobs()
    [job] = await jobs.added("mail/send")
    assert job.attempts == 1
