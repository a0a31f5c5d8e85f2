"""Admin in both schemas: of the default name, and of one that has whatever SQL and SQLAlchemy take for theirs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobRepository, async_sessionmaker
from gw_sqla.admin import Admin, Cleaned, Count, JobOrder, Retry, RunCopy, ScanLimits, cleanup, preview_cleanup

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

ROOMY = ScanLimits(timeout=timedelta(seconds=20))


async def test_looking_and_acting(sessions: Sessions, schema: str, repo: JobRepository) -> None:
    admin = Admin(schema, limits=ROOMY)
    async with sessions.begin() as session:
        job = await repo.add_job(session, "a", queue_name="q", job_key="k")
        other = await repo.add_job(session, "b")
        await repo.permanently_fail_jobs(session, [other.id], "no")
    async with sessions.begin() as session:
        assert len((await admin.list_jobs(session)).jobs) == 2
        for given in ("state:waiting", "state:ready queue:q"):
            page = await admin.list_jobs(session, given, order=JobOrder.TURN)
            assert page.jobs[0].id == job.id
        assert await admin.count_jobs(session, "state:failed") == Count(1)
        assert (await admin.explain_job(session, job.id)).job is not None
        assert [group.error for group in (await admin.list_failures(session)).groups] == ["no"]
        assert [queue.name for queue in await admin.list_queues(session)] == ["q"]
        assert [task.identifier for task in await admin.list_tasks(session)] == ["a", "b"]
        assert not await admin.list_workers(session)
        assert not await admin.list_lock_owners(session)
        assert (await admin.preview(session, "state:failed")).count == Count(1)
        assert (await admin.act(session, Retry(), "state:failed", actor="ada")).done == 1
        assert (await admin.act(session, RunCopy(), [job.id], actor="ada")).done == 1
        await admin.pause(session, task="a", actor="ada")
        assert len(await admin.list_pauses(session)) == 1
        assert len(await admin.resume(session, everything=True, actor="ada")) == 1
        assert await admin.remove_job(session, "k", actor="ada") is not None
        assert (await admin.unlock_workers(session, "pool-x", actor="ada")).jobs == 0
        assert len(await admin.list_audit(session)) == 6


async def test_cleaning_up(engine: AsyncEngine, sessions: Sessions, schema: str, repo: JobRepository) -> None:
    async with sessions.begin() as session:
        job = await repo.add_job(session, "a", queue_name="q")
        await repo.complete_jobs(session, [job.id])
    assert await preview_cleanup(engine, schema=schema) == Cleaned(tasks=1, queues=1)
    assert await cleanup(engine, schema=schema, actor="ada") == Cleaned(tasks=1, queues=1)
