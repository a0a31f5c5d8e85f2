"""Jobs of forwarded tasks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gw_sqla import (
    AsyncSession,
    JobRepository,
    JobTesterError,
    TaskRegistry,
)
from gw_sqla.forwarding import Message
from gw_sqla.testing import JobTester

pytestmark = pytest.mark.anyio


async def test_forwarded_tasks_are_left(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    class Nowhere:
        async def open(self) -> None:
            raise AssertionError("nothing is sent")

        async def close(self) -> None: ...

        async def send(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
            return []

    tasks.forward("elsewhere", Nowhere())
    await repo.add_job(session, "elsewhere", {})
    report = await jobs.run_jobs()
    assert ([job.task_identifier for job in report.left], report.outcomes) == (["elsewhere"], [])
    with pytest.raises(JobTesterError, match="forwarded to a sink"):
        await jobs.run("elsewhere", {})
