"""Worker pools that are only rows: registered, with jobs in their hands, alive or dead."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from gw_sqla import AsyncSession, async_sessionmaker

Sessions = async_sessionmaker[AsyncSession]

_REGISTER = """insert into graphile_worker._private_sqla_workers
  (pool_id, last_heartbeat_at, heartbeat_threshold, metadata)
values (:pool_id, now() - cast(:silent_for as interval), '1 minute', '{"pid": 7, "host": "there"}')"""

_LOCK_JOBS = """update graphile_worker._private_jobs
set locked_by = :pool_id, locked_at = now() - cast(:held_for as interval), attempts = attempts + 1
where is_available
returning id"""

_LOCK_QUEUES = """update graphile_worker._private_job_queues q
set locked_by = j.locked_by, locked_at = j.locked_at
from graphile_worker._private_jobs j
where j.job_queue_id = q.id and j.locked_by = :pool_id"""


async def register(sessions: Sessions, pool_id: str, *, silent_for: timedelta) -> None:
    """Register a pool with a threshold of a minute, whose last heartbeat was so long ago."""
    async with sessions.begin() as session:
        await session.execute(text(_REGISTER), {"pool_id": pool_id, "silent_for": silent_for})


async def take_all(sessions: Sessions, pool_id: str, *, held_for: timedelta = timedelta(0)) -> list[int]:
    """Lock every available job, and its queue, for a pool; return the jobs' ids."""
    async with sessions.begin() as session:
        result = await session.execute(text(_LOCK_JOBS), {"pool_id": pool_id, "held_for": held_for})
        ids = [int(row.id) for row in result]
        await session.execute(text(_LOCK_QUEUES), {"pool_id": pool_id})
    return ids


async def registered(sessions: Sessions) -> list[str]:
    """Return the ids of the registered pools."""
    async with sessions() as session:
        return list(await session.scalars(text("select pool_id from graphile_worker._private_sqla_workers order by 1")))


async def locks(sessions: Sessions) -> tuple[int, int]:
    """Count the locked jobs and the locked queues."""
    async with sessions() as session:
        row = (
            await session.execute(
                text(
                    "select (select count(locked_by) from graphile_worker._private_jobs), "
                    "(select count(locked_by) from graphile_worker._private_job_queues)"
                )
            )
        ).one()
        return row[0], row[1]
