"""A transactional job's effect on the database happens exactly once, wherever its worker is killed (SIGKILL)."""

from __future__ import annotations

import random
import signal
from collections.abc import AsyncIterator

import anyio
import anyio.to_thread
import pytest
from sqlalchemy import text

from gw_sqla import AsyncSession, JobRepository, async_sessionmaker
from tests.execution import killed_worker
from tests.execution.conftest import Effects, Jobs
from tests.support.forks import fork

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture
async def effects(sessions: Sessions) -> AsyncIterator[Effects]:
    """A table of notes that may hold one twice, so that a second time would be seen."""
    async with sessions.begin() as session:
        await session.execute(text("create table effects (note text)"))

    async def look() -> list[str]:
        async with sessions() as session:
            return list(await session.scalars(text("select note from effects order by cast(note as int)")))

    yield look
    async with sessions.begin() as session:
        await session.execute(text("drop table effects"))


async def run(url: str, point: str, backend: str) -> int | None:
    process = fork(killed_worker.work, url, point, backend)
    await anyio.to_thread.run_sync(process.join)
    return process.exitcode


async def unlock_dead(sessions: Sessions) -> None:
    """Take the locks of killed workers away once the server has heard of their deaths.

    It may have a claim of theirs still to read, and would carry it out.
    """
    with anyio.fail_after(30):
        while True:
            async with sessions.begin() as session:
                left = await session.scalar(
                    text(
                        "select count(*) from pg_stat_activity where datname = current_database() "
                        "and application_name = :name"
                    ),
                    {"name": killed_worker.NAME},
                )
                if left == 0:
                    pools = await session.scalars(
                        text("select distinct locked_by from graphile_worker._private_jobs where locked_by is not null")
                    )
                    await JobRepository().force_unlock_workers(session, list(pools))
                    return
            await anyio.sleep(0.01)


@pytest.mark.parametrize("task", ["declared", "by_hand"])
async def test_killed_at_each_point(
    sessions: Sessions, effects: Effects, jobs: Jobs, clean_database: str, anyio_backend: str, task: str
) -> None:
    """One job, whose worker dies at a later point each time."""
    async with sessions.begin() as session:
        await JobRepository().add_job(session, task, 1, queue_name="q")
    for attempts, point in enumerate(killed_worker.POINTS, 1):
        assert await run(clean_database, point, anyio_backend) == -signal.SIGKILL, point
        await unlock_dead(sessions)
        is_done = point == "after the commit"
        assert await effects() == (["1"] if is_done else []), point
        assert [job.attempts for job in await jobs()] == ([] if is_done else [attempts]), point
    async with sessions.begin() as session:
        await JobRepository().add_job(session, task, 2, queue_name="q")
    assert await run(clean_database, "nowhere", anyio_backend) == 0
    assert await effects() == ["1", "2"]
    assert await jobs() == []


async def test_killed_again_and_again_at_any_moment(
    sessions: Sessions, effects: Effects, jobs: Jobs, clean_database: str, anyio_backend: str
) -> None:
    count = 80
    async with sessions.begin() as session:
        for task in ("declared", "by_hand"):
            specs = [killed_worker.tasks[task].spec(number) for number in range(count)]
            await JobRepository().add_jobs(session, specs)
    for round_ in range(1, 4):
        process = fork(killed_worker.work, clean_database, "nowhere", anyio_backend)
        with anyio.fail_after(60):
            while len(await effects()) < round_ * 40 and process.is_alive():  # noqa: ASYNC110 - of another process
                await anyio.sleep(0.005)
        await anyio.sleep(random.uniform(0, 0.01))  # so that each kill hits another moment
        process.kill()
        await anyio.to_thread.run_sync(process.join)
        await unlock_dead(sessions)
    assert await run(clean_database, "nowhere", anyio_backend) == 0
    assert await effects() == [str(number // 2) for number in range(2 * count)]
    assert await jobs() == []
