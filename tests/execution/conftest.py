"""What the tests of handlers share: a table that they write to, and what the runner's tests have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobDetails, JobRepository, async_sessionmaker
from gw_sqla.testing import JobTester, rolled_back_session
from tests.worker.conftest import add_job, recorder, repo, tasks

__all__ = ["Effects", "Jobs", "MakeTester", "add_job", "effects", "jobs", "recorder", "repo", "tasks", "tester"]

Effects = Callable[[], Awaitable[list[str]]]
Jobs = Callable[[], Awaitable[list[JobDetails]]]

MakeTester = Callable[..., JobTester]

WRITE = text("insert into effects (note) values (:note)")


@pytest.fixture
async def effects(sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[Effects]:
    """A table that handlers write notes to, and a look at what is committed of it."""
    async with sessions.begin() as session:
        await session.execute(text("create table effects (note text unique deferrable initially deferred)"))

    async def look() -> list[str]:
        async with sessions() as session:
            return list(await session.scalars(text("select note from effects order by note")))

    yield look
    async with sessions.begin() as session:
        await session.execute(text("drop table effects"))


@pytest.fixture
async def tester(engine: AsyncEngine) -> AsyncIterator[MakeTester]:
    """Makes the testers of tests that need no worker: one handler, and what becomes of its job."""
    async with rolled_back_session(engine) as session:
        yield partial(JobTester, session)


@pytest.fixture
def jobs(sessions: async_sessionmaker[AsyncSession]) -> Jobs:
    """A look at the jobs that are left."""

    async def look() -> list[JobDetails]:
        async with sessions() as session:
            return await JobRepository().list_jobs(session)

    return look
