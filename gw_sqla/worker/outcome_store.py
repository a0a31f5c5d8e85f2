"""OutcomeStore: writes what became of claimed jobs, in short statements over a connection of its own.

Its statements run in autocommit, as those of `gw_sqla.worker.claim_store`, and wait neither for a claim nor for the
handlers. Faults of the database pass through as one of `gw_sqla.database.outage.DATABASE_FAULTS`; what to do about them
is for `gw_sqla.worker.outcome_writer`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.database.worker_connection import SESSION_SETTINGS, Statements
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Failed
from gw_sqla.jobs.run import Run
from gw_sqla.statements import outcomes
from gw_sqla.worker.claim_store import ClaimStore
from gw_sqla.worker.rust_tables import has_retirements

__all__ = ["NOTHING_UNWRITTEN", "OUTCOME_SETTINGS", "OutcomeStore", "Unwritten"]

_LOCK_TIMEOUT_MS = 200
"""Milliseconds for which a write may wait for rows that others have locked, before it goes around them."""

OUTCOME_SETTINGS = f"{SESSION_SETTINGS};\nset lock_timeout = '{_LOCK_TIMEOUT_MS}ms'"
"""Of the connection that outcomes are written over."""

_job = attrgetter("job")
_id = itemgetter(ClaimedJob._fields.index("id"))
_KIND = itemgetter(*map(ClaimedJob._fields.index, ("attempts", "key", "queue_id")))
_LOCKED = itemgetter(ClaimedJob._fields.index("locked_us"))


class Unwritten(NamedTuple):
    """What a write has not done: ``lost`` are no longer this pool's, ``busy`` are locked by another transaction."""

    lost: Sequence[Run]
    busy: Sequence[Run]


NOTHING_UNWRITTEN = Unwritten((), ())


class OutcomeStore:
    """The writes of a worker pool. All methods raise `DATABASE_FAULTS`; cancellation cancels."""

    def __init__(
        self,
        connection: Statements,
        schema: str,
        pool_id: str,
        claims: ClaimStore,
        *,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """``claims``: those of the same pool, which know whether one of them is unanswered.

        ``clock`` tells from when a failed job waits, in place of the database's.
        """
        self._connection = connection
        self._clock = clock
        self._claims = claims
        self._schema = schema
        self._pool_id = pool_id

    async def close(self) -> None:
        """Close the connection; shielded, and not longer than some seconds."""
        await self._connection.close()

    async def complete(self, runs: Sequence[Run], *, around_locks: bool = False) -> Unwritten:
        """Delete the jobs of completed runs."""
        jobs = list(map(_job, runs))
        kinds = set(map(_KIND, jobs))
        attempt, key, queue_id = next(iter(kinds), (0, None, None))
        are_alike = len(kinds) == 1 and key is None and queue_id is None
        if around_locks or not are_alike or self._claims.claim_is_unanswered:
            return await self._write(outcomes.complete(self._schema, around_locks=around_locks), runs, {})
        parameters = {
            "ids": list(map(_id, jobs)),
            "attempt": attempt,
            "locked_at": max(jobs, key=_LOCKED).locked_at,
            "pool_id": self._pool_id,
        }
        [row] = await self._connection.fetch(outcomes.complete_alike(self._schema), parameters)
        if row[0] is None:
            return NOTHING_UNWRITTEN
        written = set(row[0])
        return Unwritten(lost=[run for run in runs if run.job.id not in written], busy=())

    async def fail(self, runs: Sequence[Run], *, around_locks: bool = False) -> Unwritten:
        """Write the failures of runs.

        A database whose encoding is not UTF-8 cannot hold every message: it is given escapes for what is not ASCII,
        as a write that can never succeed would hold up all others.
        """
        failures = [run.outcome for run in runs if isinstance(run.outcome, Failed)]
        parameters: dict[str, Any] = {
            "messages": [failed.message for failed in failures],
            "delays": [
                None if failed.retry_after is None else failed.retry_after.total_seconds() for failed in failures
            ],
            "final": [failed.permanently for failed in failures],
            "payloads": [failed.payload_text for failed in failures],
        }
        if self._clock is not None:
            parameters["now"] = self._clock()
        statement = outcomes.fail(self._schema, around_locks=around_locks, by_clock=self._clock is not None)
        try:
            return await self._write(statement, runs, parameters)
        except asyncpg.UntranslatableCharacterError:
            messages = [message.encode("ascii", "backslashreplace").decode() for message in parameters["messages"]]
            return await self._write(statement, runs, parameters | {"messages": messages})

    async def give_back(self, runs: Sequence[Run], *, around_locks: bool = False) -> Unwritten:
        """Return the jobs of runs that were not begun."""
        statement = outcomes.give_back(
            self._schema,
            heeding_retirements=await has_retirements(self._connection, self._schema),
            around_locks=around_locks,
        )
        return await self._write(statement, runs, {"keys": [run.job.key for run in runs]})

    async def _write(self, statement: ClauseElement, runs: Sequence[Run], parameters: dict[str, Any]) -> Unwritten:
        return _unwritten(runs, await self._connection.fetch(statement, parameters | self._named(runs)))

    def _named(self, runs: Sequence[Run]) -> dict[str, Any]:
        return {
            "ids": [run.job.id for run in runs],
            "attempts": [run.job.attempts for run in runs],
            "keyed": [run.job.key is not None for run in runs],
            "locked_ats": [run.job.locked_at for run in runs],
            "queue_ids": [run.job.queue_id for run in runs],
            "pool_id": self._pool_id,
        }


def _unwritten(runs: Sequence[Run], rows: Sequence[Any]) -> Unwritten:
    if len(rows) == len(runs) and not any(row[1] for row in rows):
        return NOTHING_UNWRITTEN
    busy = {row[0]: row[1] for row in rows}
    return Unwritten(
        lost=[run for run in runs if run.job.id not in busy],
        busy=[run for run in runs if busy.get(run.job.id)],
    )
