"""Store: the worker's own short transactions, over an engine.

Each method is one statement in autocommit: no BEGIN and COMMIT round trips around it. Claims have one
connection, outcomes another (`gw_sqla.line`), so that neither waits for the other or for the handlers. Faults of
the database pass through as one of `DATABASE_FAULTS`; what to do about them is decided by the rooms that
call, with `Outage` for the backoff and the log.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any

import anyio
import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.driver import call_asyncio, call_asyncio_shielded
from gw_sqla.job import ClaimedJob, Failed
from gw_sqla.line import Line
from gw_sqla.statements import finish, queries
from gw_sqla.statements.claim import claim

__all__ = ["DATABASE_FAULTS", "Outage", "Store", "close_line"]

log = logging.getLogger(__name__)

DATABASE_FAULTS = (
    DBAPIError,
    PoolTimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # asyncpg's state machine, on a connection that dies under it
    OSError,
)
"""What a query can raise when the database, the network or the pool is at fault."""

_as_job = partial(tuple.__new__, ClaimedJob)  # ClaimedJob._make, without a call in Python for each job
_URGENCY = itemgetter(*map(ClaimedJob._fields.index, ("priority", "run_at", "id")))

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0


class Outage:
    """Backoff with jitter through one outage; says once what happened and once that it is over."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._faults = 0

    async def wait(self, fault: BaseException) -> None:
        """Log the first fault of an outage, then sleep; 0.1 s at first, up to 5 s. Cancellable."""
        if self._faults == 0:
            reason = str(fault).partition("\n")[0] or type(fault).__name__
            log.warning("%s failed, will be tried again until it works: %s", self._doing, reason)
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(self._faults, 10))
        self._faults += 1
        await anyio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311 - jitter, not a secret

    def over(self) -> bool:
        """Note that it works; return True, and log it, if it did not work before."""
        if self._faults == 0:
            return False
        log.warning("%s works again after %d faults", self._doing, self._faults)
        self._faults = 0
        return True


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
        """``pooled`` as in `Line`; ``clock`` tells which jobs are due, in place of the database's."""
        self._claiming = Line(engine, pooled=pooled)
        self._writing = Line(engine, pooled=pooled)
        self._clock = clock
        self._schema = schema
        self._pool_id = pool_id

    async def close(self) -> None:
        """Close the connections; shielded, and not longer than some seconds each."""
        for line in (self._claiming, self._writing):
            await close_line(line)

    async def register_tasks(self, task_identifiers: Collection[str]) -> None:
        """Make the task identifiers known, so that no caller's first add_job has to."""
        statement = queries.register_tasks(self._schema)
        await call_asyncio(self._claiming.fetch, statement, {"identifiers": sorted(task_identifiers)})

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
        rows = await call_asyncio_shielded(self._claiming.fetch, statement, parameters)
        jobs = list(map(_as_job, rows))
        jobs.sort(key=_URGENCY)
        return jobs

    async def complete(self, job_ids: Sequence[int]) -> set[int]:
        """Delete completed jobs; return the ids that this pool still had the lock of."""
        return await self._finish(self._writing, finish.complete(self._schema), {"ids": job_ids})

    async def fail(self, outcomes: Sequence[Failed]) -> set[int]:
        """Write failures; return the ids that this pool still had the lock of.

        A database whose encoding is not UTF-8 cannot hold every message: it is given escapes for what is not ASCII,
        as a write that can never succeed would hold up all others.
        """
        parameters: dict[str, Any] = {
            "ids": [outcome.job.id for outcome in outcomes],
            "messages": [outcome.message for outcome in outcomes],
            "delays": [
                None if outcome.retry_after is None else outcome.retry_after.total_seconds() for outcome in outcomes
            ],
            "final": [outcome.permanently for outcome in outcomes],
            "payloads": [outcome.payload_text for outcome in outcomes],
        }
        try:
            return await self._finish(self._writing, finish.fail(self._schema), parameters)
        except asyncpg.UntranslatableCharacterError:
            messages = [message.encode("ascii", "backslashreplace").decode() for message in parameters["messages"]]
            return await self._finish(self._writing, finish.fail(self._schema), parameters | {"messages": messages})

    async def give_back(self, job_ids: Sequence[int]) -> set[int]:
        """Return unstarted jobs; return the ids that this pool still had the lock of."""
        return await self._finish(self._writing, finish.give_back(self._schema), {"ids": job_ids})

    async def give_back_forgotten(self, known_ids: Sequence[int]) -> set[int]:
        """Return all jobs that are locked by this pool and not known to it; return their ids."""
        return await self._finish(self._claiming, finish.give_back_forgotten(self._schema), {"ids": known_ids})

    async def _finish(self, line: Line, statement: ClauseElement, parameters: dict[str, Any]) -> set[int]:
        rows = await call_asyncio(line.fetch, statement, parameters | {"pool_id": self._pool_id})
        return {row[0] for row in rows}


async def close_line(line: Line) -> None:
    """Close the connection; shielded, and not longer than some seconds."""
    with anyio.CancelScope(shield=True):
        try:
            await call_asyncio(line.close)
        except DATABASE_FAULTS as fault:
            log.debug("closing a connection of the worker's own: %s", fault)
