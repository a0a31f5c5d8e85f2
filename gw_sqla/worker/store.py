"""Store: the worker's own short transactions, over an engine.

Each method is one statement in autocommit: no BEGIN and COMMIT round trips around it. Claims have one
connection, outcomes another (`gw_sqla.database.worker_connection`), so that neither waits for the other or for the
handlers. Faults of the database pass through as one of `gw_sqla.database.outage.DATABASE_FAULTS`; what to do about them
is decided by the rooms that call, with `Outage` for the backoff and the log.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Failed
from gw_sqla.statements import job_queries, outcomes
from gw_sqla.statements.claim import claim

__all__ = ["Store"]

_as_job = partial(tuple.__new__, ClaimedJob)  # ClaimedJob._make, without a call in Python for each job
_URGENCY = itemgetter(*map(ClaimedJob._fields.index, ("priority", "run_at", "id")))


class Store:
    """The statements of a worker pool. All methods raise `DATABASE_FAULTS`; cancellation cancels."""

    def __init__(
        self,
        engine: AsyncEngine,
        schema: str,
        pool_id: str,
        *,
        pooled: bool = False,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """``pooled`` as in `WorkerConnection`; ``clock`` tells which jobs are due, in place of the database's."""
        self._claiming = WorkerConnection(engine, pooled=pooled)
        self._writing = WorkerConnection(engine, pooled=pooled)
        self._clock = clock
        self._schema = schema
        self._pool_id = pool_id

    async def close(self) -> None:
        """Close the connections; shielded, and not longer than some seconds each."""
        for connection in (self._claiming, self._writing):
            await connection.close()

    async def register_tasks(self, task_identifiers: Collection[str]) -> None:
        """Make the task identifiers known, so that no caller's first add_job has to."""
        statement = job_queries.register_tasks(self._schema)
        await self._claiming.fetch(statement, {"identifiers": sorted(task_identifiers)})

    async def claim(
        self,
        task_identifiers: Sequence[str],
        count: int,
        forbidden_flags: Sequence[str],
        after: tuple[int, datetime, int],
    ) -> list[ClaimedJob]:
        """Lock up to ``count`` due jobs and return them, the most urgent first. To be called shielded.

        Those without a queue are looked for ``after`` a priority, run_at and id.
        """
        parameters: dict[str, Any] = {"task_identifiers": task_identifiers, "count": count, "pool_id": self._pool_id}
        parameters |= zip(("after_priority", "after_run_at", "after_id"), after, strict=True)
        if forbidden_flags:
            parameters["forbidden_flags"] = forbidden_flags
        if self._clock is not None:
            parameters["now"] = self._clock()
        by_clock = self._clock is not None
        statement = claim(self._schema, forbidding_flags=bool(forbidden_flags), by_clock=by_clock)
        rows = await self._claiming.fetch_shielded(statement, parameters)
        jobs = list(map(_as_job, rows))
        jobs.sort(key=_URGENCY)
        return jobs

    async def complete(self, job_ids: Sequence[int]) -> set[int]:
        """Delete completed jobs; return the ids that this pool still had the lock of."""
        return await self._finish(self._writing, outcomes.complete(self._schema), {"ids": job_ids})

    async def fail(self, failures: Sequence[Failed]) -> set[int]:
        """Write failures; return the ids that this pool still had the lock of.

        A database whose encoding is not UTF-8 cannot hold every message: it is given escapes for what is not ASCII,
        as a write that can never succeed would hold up all others.
        """
        parameters: dict[str, Any] = {
            "ids": [failed.job.id for failed in failures],
            "messages": [failed.message for failed in failures],
            "delays": [
                None if failed.retry_after is None else failed.retry_after.total_seconds() for failed in failures
            ],
            "final": [failed.permanently for failed in failures],
            "payloads": [failed.payload_text for failed in failures],
        }
        try:
            return await self._finish(self._writing, outcomes.fail(self._schema), parameters)
        except asyncpg.UntranslatableCharacterError:
            messages = [message.encode("ascii", "backslashreplace").decode() for message in parameters["messages"]]
            return await self._finish(self._writing, outcomes.fail(self._schema), parameters | {"messages": messages})

    async def give_back(self, job_ids: Sequence[int]) -> set[int]:
        """Return unstarted jobs; return the ids that this pool still had the lock of."""
        return await self._finish(self._writing, outcomes.give_back(self._schema), {"ids": job_ids})

    async def give_back_forgotten(self, known_ids: Sequence[int]) -> set[int]:
        """Return all jobs that are locked by this pool and not known to it; return their ids."""
        return await self._finish(self._claiming, outcomes.give_back_forgotten(self._schema), {"ids": known_ids})

    async def _finish(
        self, connection: WorkerConnection, statement: ClauseElement, parameters: dict[str, Any]
    ) -> set[int]:
        rows = await connection.fetch(statement, parameters | {"pool_id": self._pool_id})
        return {row[0] for row in rows}
