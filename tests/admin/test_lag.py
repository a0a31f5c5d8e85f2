"""How far behind forwarding is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, InvalidJobError, JobRepository, Runner, TaskRegistry, async_sessionmaker
from gw_sqla.admin import Admin
from gw_sqla.health import examine
from tests.forwarding.sinks import KeptSink
from tests.worker.conftest import AddJob, add_job, repo, tasks

__all__ = ["add_job", "repo", "tasks"]

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


async def test_counts_and_age(sessions: Sessions, add_job: AddJob) -> None:
    now = datetime.now(UTC)
    sent = await add_job("out", run_at=now - timedelta(minutes=30))
    for minutes in (20, 10):
        await add_job("out", run_at=now - timedelta(minutes=minutes))
    await add_job("out", run_at=now + timedelta(hours=1))
    failed = await add_job("out", run_at=now - timedelta(hours=2))
    await add_job("other", run_at=now - timedelta(hours=3))
    async with sessions.begin() as session:
        await JobRepository().permanently_fail_jobs(session, [failed.id], "no")
        await session.execute(  # by somebody
            text("update graphile_worker._private_jobs set locked_by = 'p', locked_at = now() where id = :id"),
            {"id": sent.id},
        )
    async with sessions() as session:
        [lag, unknown] = await Admin().list_forward_lag(session, ["out", "unknown"])
        assert (lag.task, lag.waiting, lag.failed) == ("out", 3, 1)
        assert timedelta(minutes=29) < lag.age < timedelta(minutes=40)
        assert (unknown.task, unknown.waiting, unknown.failed, unknown.age) == ("unknown", 0, 0, timedelta(0))
        with pytest.raises(InvalidJobError, match="tasks"):
            await Admin().list_forward_lag(session, "out")


async def test_of_those_that_workers_forward(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob
) -> None:
    @tasks.task("own")
    async def own() -> None: ...

    sink = KeptSink()
    sink.open_faults = [ConnectionError("down")] * 100
    tasks.forward("out", sink)
    await add_job("out", run_at=datetime.now(UTC) - timedelta(hours=1))
    async with sessions() as session:
        assert await Admin().list_forward_lag(session) == []
    async with Runner(engine, tasks):
        async with sessions() as session:
            [lag] = await Admin().list_forward_lag(session)
        found = {finding.check: finding for finding in await examine(engine)}
    assert (lag.task, lag.waiting) == ("out", 1)
    assert "1 tasks are over 10 minutes behind: out (1 jobs" in found["forwarding"].found
