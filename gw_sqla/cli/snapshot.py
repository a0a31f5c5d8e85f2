"""Figures of a queue at one moment: for ``stats`` and ``top``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gw_sqla.admin import Admin, Count, JobFilter, Turnover, Worker
from gw_sqla.database.session import AsyncSession
from gw_sqla.types import JobState

__all__ = ["Snapshot", "look"]

_MOST_WORKERS = 1000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How many jobs are in each state, how many were added and deleted in all, the workers."""

    states: Mapping[JobState, Count]
    turnover: Turnover
    workers: tuple[Worker, ...]

    @property
    def alive(self) -> list[Worker]:
        """Those that live."""
        return [worker for worker in self.workers if worker.is_alive]

    @property
    def slots(self) -> int:
        """How many jobs they run at once."""
        return sum(worker.concurrency or 0 for worker in self.alive)


async def look(session: AsyncSession, admin: Admin, most: int) -> Snapshot:
    """Count up to ``most`` jobs of each state, and look who works."""
    states = {
        state: await admin.count_jobs(session, JobFilter(states=frozenset({state})), most=most) for state in JobState
    }
    workers = await admin.list_workers(session, limit=_MOST_WORKERS)
    return Snapshot(states, await admin.read_turnover(session), tuple(workers))
