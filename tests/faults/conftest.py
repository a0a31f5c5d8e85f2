"""What the tests of faults share: a registry and a recorder, jobs, a proxy before the database, what the log says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import AsyncSession, JobRepository, JobState, RunnerSettings, TaskRegistry, async_sessionmaker
from gw_sqla.database.event_loops import call_asyncio, database_loop
from tests.support.proxy import Proxy, start_proxy
from tests.worker.conftest import add_job, log, recorder, repo, tasks

__all__ = ["add_job", "log", "recorder", "repo", "tasks"]

Sessions = async_sessionmaker[AsyncSession]

SETTINGS = RunnerSettings(concurrency=4, poll_interval=timedelta(milliseconds=50))
JOBS = 300


@pytest.fixture
def proxy(clean_database: str) -> Iterator[Proxy]:
    """A proxy before the module's emptied database."""
    with start_proxy(clean_database) as started:
        yield started


@pytest.fixture
async def far_engine(proxy: Proxy, anyio_backend: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the module's database by way of the proxy; at the end no connection may be checked out."""
    async with database_loop():
        engine = create_async_engine(proxy.url, pool_pre_ping=True)
        yield engine
        checked_out: Any = engine.pool
        assert checked_out.checkedout() == 0, "a connection was left checked out"
        proxy.cut()  # one that the network has forgotten would make the pool wait for its goodbye
        await call_asyncio(engine.dispose)


@pytest.fixture
async def ran(tasks: TaskRegistry, sessions: Sessions, repo: JobRepository) -> list[int]:
    """The payloads of the jobs that ran so far; `JOBS` jobs are there, every other one in a named queue."""
    ran: list[int] = []

    @tasks.task("note")
    async def note(payload: int) -> None:
        ran.append(payload)

    async with sessions.begin() as session:
        specs = [note.spec(n, queue_name=f"q{n % 7}" if n % 2 else None) for n in range(JOBS)]
        await repo.add_jobs(session, specs)
    return ran


async def assert_nothing_is_left(sessions: Sessions, repo: JobRepository) -> None:
    async with sessions() as session:
        assert await repo.count_jobs_by_state(session) == dict.fromkeys(JobState, 0)
        locked = text("select count(*) from graphile_worker._private_job_queues where locked_at is not null")
        assert await session.scalar(locked) == 0
