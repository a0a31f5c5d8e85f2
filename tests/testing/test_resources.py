"""What handlers are given: made, closed, and replaced."""

from __future__ import annotations

import pytest

from gw_sqla import (
    AsyncSession,
    JobRepository,
    JobState,
    JobTesterError,
    ResourceError,
    TaskRegistry,
)
from gw_sqla.testing import JobTester

pytestmark = pytest.mark.anyio


class Unused: ...


class Mailer:
    def __init__(self, server: str = "") -> None:
        self.sent: list[str] = []
        self.server = server


async def test_resources(session: AsyncSession, tasks: TaskRegistry, repo: JobRepository) -> None:
    """Those of tasks that run are made, and closed at the end; those that are given are not."""
    events: list[str] = []

    @tasks.resource
    def unused() -> Unused:
        events.append("unused is made")
        return Unused()

    @tasks.resource
    def address() -> str:
        events.append("address is made")
        return "mail.example.com"

    @tasks.resource
    def mailer(server: str) -> Mailer:
        events.append("mailer is made")
        return Mailer(server)

    @tasks.task("mail")
    async def mail(payload: dict[str, str], mailer: Mailer) -> None:
        mailer.sent.append(payload["to"])
        events.append(f"sent by {mailer.server}")

    @tasks.task("unused")
    async def never(payload: int, unused: Unused) -> None: ...

    await repo.add_job(session, mail, {"to": "ada"})
    await JobTester(session, tasks).run_jobs()
    assert events == ["address is made", "mailer is made", "sent by mail.example.com"]
    await repo.add_job(session, mail, {"to": "grace"})
    fake = Mailer("fake")
    await JobTester(session, tasks, resources={Mailer: fake}).run_jobs()
    assert (fake.sent, events[3:]) == (["grace"], ["sent by fake"])
    await JobTester(session, tasks, resources={str: "other"}).run(mail, {"to": "x"})
    assert events[4:] == ["mailer is made", "sent by other"]
    with pytest.raises(JobTesterError, match="no task asks for <class 'int'>: they ask for Mailer, Unused, str"):
        JobTester(session, tasks, resources={int: 1})


async def test_a_resource_that_cannot_be_made(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    """As a runner, which would not have claimed the job."""

    @tasks.resource
    def mailer() -> Mailer:
        raise ConnectionError("no server")

    @tasks.task("mail")
    async def mail(payload: str, mailer: Mailer) -> None: ...

    await repo.add_job(session, mail, "a")
    with pytest.raises(ResourceError, match="no server"):
        await jobs.run_jobs()
    [job] = await jobs.added()
    assert (job.attempts, job.state) == (0, JobState.READY)
    with pytest.raises(ResourceError, match="no server"):
        await jobs.run(mail, "a")
