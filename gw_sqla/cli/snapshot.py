"""Figures of a queue at one moment, and what has happened between two of them: for ``stats`` and ``top``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from gw_sqla.admin import Admin, Count, JobFilter, Worker
from gw_sqla.database.session import AsyncSession
from gw_sqla.statements.health import turnover
from gw_sqla.types import JobState

__all__ = ["Rates", "Snapshot", "look", "rates"]

_MOST_WORKERS = 1000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How many jobs are in each state, how many were added and deleted in all, the workers.

    ``at`` is a monotonic clock's. What was added and deleted is in PostgreSQL's statistics: a second late, and with
    what was rolled back; the table itself does not remember.
    """

    at: float
    states: Mapping[JobState, Count]
    inserted: int
    deleted: int
    workers: tuple[Worker, ...]

    @property
    def alive(self) -> list[Worker]:
        """Those that live."""
        return [worker for worker in self.workers if worker.is_alive]

    @property
    def slots(self) -> int:
        """How many jobs they run at once."""
        return sum(worker.concurrency or 0 for worker in self.alive)


@dataclass(frozen=True, slots=True)
class Rates:
    """Jobs per second: added, and gone (completed or removed)."""

    added: float
    gone: float


async def look(session: AsyncSession, admin: Admin, most: int) -> Snapshot:
    """Count up to ``most`` jobs of each state, and look who works."""
    states = {
        state: await admin.count_jobs(session, JobFilter(states=frozenset({state})), most=most) for state in JobState
    }
    workers = await admin.list_workers(session, limit=_MOST_WORKERS)
    total = (await session.execute(turnover(admin.schema), {"name": admin.schema})).one()
    return Snapshot(time.monotonic(), states, total.inserted, total.deleted, tuple(workers))


def rates(before: Snapshot, after: Snapshot) -> Rates:
    """Return what happened between them; nothing where the statistics were reset."""
    seconds = max(after.at - before.at, 1e-9)
    return Rates(max(0, after.inserted - before.inserted) / seconds, max(0, after.deleted - before.deleted) / seconds)
