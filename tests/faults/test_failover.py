"""A failover under load: the primary crashes, its synchronous standby is promoted, workers and those who add go on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import AsyncSession, JobRepository, JobState, Runner, RunnerSettings, TaskRegistry, async_sessionmaker
from gw_sqla.database.event_loops import call_asyncio, database_loop
from gw_sqla.database.url import parse_url
from gw_sqla.schema.migrations import migrate
from tests.support.standby import Pair, start_pair

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

SETTINGS = RunnerSettings(concurrency=8, poll_interval=timedelta(milliseconds=200))


@pytest.fixture
def pair() -> Iterator[Pair]:
    with start_pair() as pair:
        yield pair


@pytest.fixture
async def engine(pair: Pair, anyio_backend: str) -> AsyncIterator[AsyncEngine]:
    """As an application's: both hosts in the URL, and what lies in the pool is tried before it is used."""
    async with database_loop():
        engine = create_async_engine(parse_url(pair.url), pool_pre_ping=True, connect_args={"timeout": 10})
        yield engine
        await call_asyncio(engine.dispose)


async def test_nothing_that_was_committed_is_lost_or_done_twice(pair: Pair, engine: AsyncEngine) -> None:
    await migrate(engine)
    sessions = async_sessionmaker(engine)
    repo = JobRepository()
    async with sessions.begin() as session:
        await session.execute(text("create table done (number int not null)"))
    tasks = TaskRegistry()
    enough = anyio.Event()
    after_failover: set[int] = set()

    @tasks.task("note", transactional=True)
    async def note(payload: int, session: AsyncSession) -> None:
        await session.execute(text("insert into done values (:number)"), {"number": payload})
        if payload >= 1_000_000:
            after_failover.add(payload)
            if len(after_failover) >= 50:
                enough.set()

    committed: list[int] = []
    begun = anyio.Event()
    failed_over = False

    async def add_jobs() -> None:
        number = 0
        while not enough.is_set():
            number += 1
            payload = number + 1_000_000 * failed_over
            try:
                async with sessions.begin() as session:
                    await repo.add_job(session, note, payload, queue_name=f"q{number % 5}" if number % 2 else None)
            except (DBAPIError, InterfaceError, OSError):  # whether it was added, nobody can say
                await anyio.sleep(0.05)
            else:
                committed.append(payload)
                if len(committed) == 100:
                    begun.set()

    with anyio.fail_after(240):
        async with Runner(engine, tasks, SETTINGS), Runner(engine, tasks, SETTINGS), anyio.create_task_group() as group:
            group.start_soon(add_jobs)
            await begun.wait()
            await anyio.to_thread.run_sync(pair.crash_primary)
            await anyio.to_thread.run_sync(pair.promote_standby)
            failed_over = True
            await enough.wait()
        async with sessions.begin() as session:  # those that were cut off wait for their next attempt
            await repo.retry_jobs(session, [job.id for job in await repo.list_jobs(session)])
        await Runner(engine, tasks, SETTINGS).run_once()

    async with sessions() as session:
        done = list(await session.scalars(text("select number from done")))
        states = await repo.count_jobs_by_state(session)
    assert len(done) == len(set(done)), "a transactional task's writes are there once"
    assert set(committed) <= set(done)
    assert states == dict.fromkeys(JobState, 0)
