"""OutcomeStore: writes what became of claimed jobs, in short statements over a connection of its own.

Its statements run in autocommit, as those of `gw_sqla.worker.claim_store`, and wait neither for a claim nor for the
handlers. Faults of the database pass through as one of `gw_sqla.database.outage.DATABASE_FAULTS`; what to do about them
is for `gw_sqla.worker.outcome_writer`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.database.array_literals import ids_of
from gw_sqla.database.driver_statements import Statements
from gw_sqla.database.worker_connection import SESSION_SETTINGS
from gw_sqla.execution.outcome_log import OutcomeLog
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Failed, Kept, Snoozed
from gw_sqla.jobs.run import Run
from gw_sqla.statements import kept_jobs, outcomes
from gw_sqla.worker.claim_store import ClaimStore
from gw_sqla.worker.rust_tables import has_retirements

__all__ = ["NOTHING_UNWRITTEN", "OUTCOME_SETTINGS", "OutcomeStore", "Unwritten"]

_LOCK_TIMEOUT_MS = 200
"""Milliseconds for which a write may wait for rows that others have locked, before it goes around them."""

OUTCOME_SETTINGS = f"{SESSION_SETTINGS};\nset lock_timeout = '{_LOCK_TIMEOUT_MS}ms'"
"""Of the connection that outcomes are written over."""

_job = attrgetter("job")
_ID, _ATTEMPTS, _KEY, _QUEUE, _LOCKED = map(
    ClaimedJob._fields.index, ("id", "attempts", "key", "queue_id", "locked_us")
)


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
        outcome_log: OutcomeLog | None = None,
    ) -> None:
        """``claims``: those of the same pool, which know whether one of them is unanswered.

        ``clock`` tells from when a failed job waits, in place of the database's.
        """
        self._connection = connection
        self._clock = clock
        self._log = outcome_log or OutcomeLog()
        self._claims = claims
        self._schema = schema
        self._pool_id = pool_id

    async def close(self) -> None:
        """Close the connection; shielded, and not longer than some seconds."""
        await self._connection.close()

    async def complete(self, runs: Sequence[Run], *, around_locks: bool = False) -> Unwritten:
        """Delete the jobs of completed runs."""
        alike = None if around_locks or self._claims.claim_is_unanswered else _alike(runs)
        if alike is None:
            return await self._write(outcomes.complete(self._schema, around_locks=around_locks), runs, {})
        parameters = alike | {"pool_id": self._pool_id}
        [row] = await self._connection.fetch(outcomes.complete_alike(self._schema), parameters)
        if row[0] is None:
            return NOTHING_UNWRITTEN
        written = set(ids_of(row[0]))
        return Unwritten(lost=[run for run in runs if run.job.id not in written], busy=())

    async def complete_and_keep(self, runs: Sequence[Run], *, around_locks: bool = False) -> Unwritten:
        """Delete the jobs of forwarded runs, and keep what they were."""
        kept = [run.outcome for run in runs if isinstance(run.outcome, Kept)]
        parameters: dict[str, Any] = {
            "tasks": [one.job.task_identifier for one in kept],
            "queue_names": [one.job.queue_name for one in kept],
            "seconds": [one.keep.total_seconds() for one in kept],
            "places": list(range(len(kept))),
        }
        return await self._write(kept_jobs.complete_and_keep(self._schema, around_locks=around_locks), runs, parameters)

    async def fail(self, runs: Sequence[Run], *, around_locks: bool = False) -> Unwritten:
        """Write the failures of runs."""
        failures = [run.outcome for run in runs if isinstance(run.outcome, Failed)]
        parameters: dict[str, Any] = {
            "messages": [failed.message for failed in failures],
            "delays": [_seconds(failed.retry_after) for failed in failures],
            "final": [failed.permanently for failed in failures],
            "payloads": [failed.payload_text for failed in failures],
        }
        statement = outcomes.fail(self._schema, around_locks=around_locks, by_clock=self._clock is not None)
        return _unwritten(runs, await self._write_texts(statement, runs, parameters | self._now(), ("messages",)))

    async def give_back(self, runs: Sequence[Run], *, around_locks: bool = False) -> Unwritten:
        """Return the jobs of runs that were not begun."""
        statement = outcomes.give_back(
            self._schema,
            heeding_retirements=await has_retirements(self._connection, self._schema),
            around_locks=around_locks,
        )
        return await self._write(statement, runs, {"keys": [run.job.key for run in runs]})

    async def snooze(self, runs: Sequence[Run], *, around_locks: bool = False) -> Unwritten:
        """Write that runs were snoozed; tell their outcomes how often, or that it was once too often."""
        found = [run.outcome for run in runs if isinstance(run.outcome, Snoozed)]
        parameters: dict[str, Any] = {
            "keys": [run.job.key for run in runs],
            "delays": [snoozed.delay.total_seconds() for snoozed in found],
            "limits": [snoozed.limit for snoozed in found],
            "reasons": [snoozed.message for snoozed in found],
            "payloads": [snoozed.payload_text for snoozed in found],
            "messages": [snoozed.otherwise.message for snoozed in found],
            "failed_delays": [_seconds(snoozed.otherwise.retry_after) for snoozed in found],
        }
        heeding = await has_retirements(self._connection, self._schema)
        statement = outcomes.snooze(
            self._schema,
            heeding_retirements=heeding,
            around_locks=around_locks,
            by_clock=self._clock is not None,
        )
        rows = await self._write_texts(statement, runs, parameters | self._now(), ("reasons", "messages"))
        counts = {row["id"]: row["snoozes"] for row in rows if not row["busy"]}
        for run, snoozed in zip(runs, found, strict=True):
            if snoozed.job.id in counts:
                run.outcome = self._counted(snoozed, counts[snoozed.job.id])
        return _unwritten(runs, rows)

    def _counted(self, snoozed: Snoozed, snoozes: int | None) -> Snoozed | Failed:
        """Return what became of a job that was to be snoozed, and log it."""
        if snoozes is None:
            self._log.failed(snoozed.otherwise)
            return snoozed.otherwise
        counted = replace(snoozed, snoozes=snoozes)
        self._log.snoozed(counted)
        return counted

    async def _write_texts(
        self, statement: ClauseElement, runs: Sequence[Run], parameters: dict[str, Any], texts: Sequence[str]
    ) -> Sequence[Any]:
        """Write what has texts for people.

        A database whose encoding is not UTF-8 cannot hold every one: it is given escapes for what is not ASCII,
        as a write that can never succeed would hold up all others.
        """
        named = self._named(runs)
        try:
            return await self._connection.fetch(statement, parameters | named)
        except asyncpg.UntranslatableCharacterError:
            escaped = {
                name: [text.encode("ascii", "backslashreplace").decode() for text in parameters[name]] for name in texts
            }
            return await self._connection.fetch(statement, parameters | escaped | named)

    async def _write(self, statement: ClauseElement, runs: Sequence[Run], parameters: dict[str, Any]) -> Unwritten:
        return _unwritten(runs, await self._connection.fetch(statement, parameters | self._named(runs)))

    def _now(self) -> dict[str, datetime]:
        return {} if self._clock is None else {"now": self._clock()}

    def _named(self, runs: Sequence[Run]) -> dict[str, Any]:
        return {
            "ids": [run.job.id for run in runs],
            "attempts": [run.job.attempts for run in runs],
            "keyed": [run.job.key is not None for run in runs],
            "locked_ats": [run.job.locked_at for run in runs],
            "queue_ids": [run.job.queue_id for run in runs],
            "pool_id": self._pool_id,
        }


def _seconds(wait: timedelta | None) -> float | None:
    return None if wait is None else wait.total_seconds()


def _alike(runs: Sequence[Run]) -> dict[str, Any] | None:
    """Return the parameters of `outcomes.complete_alike`; None where the jobs differ in more than their ids.

    By columns: to look at the fields of each job takes three times as long.
    """
    columns = list(zip(*map(_job, runs), strict=True))
    if not columns:
        return None
    attempts, keys, queue_ids = columns[_ATTEMPTS], columns[_KEY], columns[_QUEUE]
    if {attempts.count(attempts[0]), keys.count(None), queue_ids.count(None)} != {len(runs)}:
        return None
    locked = columns[_LOCKED]
    youngest = runs[locked.index(max(locked))].job
    return {"ids": list(columns[_ID]), "attempt": attempts[0], "locked_at": youngest.locked_at}


def _unwritten(runs: Sequence[Run], rows: Sequence[Any]) -> Unwritten:
    if len(rows) == len(runs) and not any(row[1] for row in rows):
        return NOTHING_UNWRITTEN
    busy = {row["id"]: row["busy"] for row in rows}
    return Unwritten(
        lost=[run for run in runs if run.job.id not in busy],
        busy=[run for run in runs if busy.get(run.job.id)],
    )
