"""Looking at held jobs from outside: their rows, the rows of their holds, and who has a transaction open."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
from sqlalchemy import text

from gw_sqla import AsyncSession, RunnerSettings, async_sessionmaker

__all__ = ["HOLDING", "age_holds", "free_jobs", "holds", "one", "until_there_are"]

Sessions = async_sessionmaker[AsyncSession]

HOLDING = RunnerSettings(
    concurrency=4,
    poll_interval=timedelta(milliseconds=50),
    sweep_interval=timedelta(hours=1),
    lease_after=timedelta(seconds=10),
)
"""So long that nothing is leased within a test, but where it is asked for."""

_HOLDS = "select job_ids from graphile_worker._private_sqla_holds order by held_at, id"
_AGE = "update graphile_worker._private_sqla_holds set owned_until = now() - interval '1 hour'"
_OLD_ENOUGH = "select pg_postmaster_start_time() + interval '10 s' < now()"
_FREE = "select id from graphile_worker._private_jobs where is_available for update skip locked"


async def one(sessions: Sessions, sql: str) -> Any:
    """Return the only row of a query of jobs ``j``."""
    async with sessions() as session:
        return (await session.execute(text(f"select {sql} from graphile_worker._private_jobs j"))).one()


async def holds(sessions: Sessions) -> list[list[int]]:
    """Return which jobs the rows of the holds name."""
    async with sessions() as session:
        return [list(row.job_ids) for row in await session.execute(text(_HOLDS))]


async def age_holds(sessions: Sessions) -> None:
    """Let the time be over in which their pools may judge them, which is given after a start of the server as well."""
    with anyio.fail_after(20):
        async with sessions() as session:
            while not await session.scalar(text(_OLD_ENOUGH)):
                await session.rollback()
                await anyio.sleep(0.1)
    async with sessions.begin() as session:
        await session.execute(text(_AGE))


async def free_jobs(sessions: Sessions) -> list[int]:
    """Return the ids of the jobs that a peer's claim could lock now."""
    async with sessions() as session:
        return sorted(await session.scalars(text(_FREE)))


async def until_there_are(sessions: Sessions, jobs: int) -> None:
    """Wait until a peer's claim could lock so many jobs."""
    with anyio.fail_after(20):
        while len(await free_jobs(sessions)) != jobs:  # noqa: ASYNC110 - of the server
            await anyio.sleep(0.01)
