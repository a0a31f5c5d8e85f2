"""Store: the worker's own short transactions, over an engine.

Its statements run in autocommit: no BEGIN and COMMIT round trips around them. Claims have one
connection, outcomes another (`gw_sqla.database.worker_connection`), so that neither waits for the other or for the
handlers. Faults of the database pass through as one of `gw_sqla.database.outage.DATABASE_FAULTS`; what to do about them
is decided by the callers, with `Outage` for the backoff and the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.database.outage import is_answer
from gw_sqla.database.worker_connection import SESSION_SETTINGS, WorkerConnection
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Failed
from gw_sqla.jobs.run import Run
from gw_sqla.statements import job_queries, orphaned_locks, outcomes
from gw_sqla.statements.claim import Variant, candidates, claim
from gw_sqla.statements.quoting import quoted
from gw_sqla.worker.refused_claims import RefusedClaims

__all__ = ["NOTHING_UNWRITTEN", "Store", "Unwritten"]

log = logging.getLogger(__name__)

_LOCK_TIMEOUT_MS = 200
"""Milliseconds for which a write may wait for rows that others have locked, before it goes around them."""

_LOOK_AHEAD = 100
"""So many jobs are looked at, at least, where some are refused."""

_as_job = partial(tuple.__new__, ClaimedJob)  # ClaimedJob._make, without a call in Python for each job
_KIND = itemgetter(*map(ClaimedJob._fields.index, ("attempts", "key", "queue_id")))
_LOCKED = itemgetter(ClaimedJob._fields.index("locked_us"))
_URGENCY = itemgetter(*map(ClaimedJob._fields.index, ("priority", "run_at", "id")))


class Unwritten(NamedTuple):
    """What a write has not done: ``lost`` are no longer this pool's, ``busy`` are locked by another transaction."""

    lost: Sequence[Run]
    busy: Sequence[Run]


NOTHING_UNWRITTEN = Unwritten((), ())


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
        max_payload_size: int | None = None,
        leaves_oversized: bool = False,
    ) -> None:
        """``pooled`` as in `WorkerConnection`; ``clock`` tells which jobs are due, in place of the database's.

        A payload of more than ``max_payload_size`` bytes is not fetched: its job comes with an empty text, or stays.
        """
        self._claiming = WorkerConnection(engine, pooled=pooled, ends_backends=True)
        writing_settings = f"{SESSION_SETTINGS};\nset lock_timeout = '{_LOCK_TIMEOUT_MS}ms'"
        self._writing = WorkerConnection(engine, writing_settings, pooled=pooled)
        self._clock = clock
        self._refused = RefusedClaims()
        self._max_payload_size = max_payload_size
        is_sized = max_payload_size is not None
        self._variant = Variant(by_clock=clock is not None, sized=is_sized, leaving=is_sized and leaves_oversized)
        self._is_claim_unanswered = False  # or what it may have locked is not let go of yet
        self._schema = schema
        self._pool_id = pool_id

    async def close(self) -> None:
        """Close the connections; shielded, and not longer than some seconds each."""
        for connection in (self._claiming, self._writing):
            await connection.close()

    async def cut_off_claim(self) -> None:
        """End the connection of a claim that is under way."""
        await self._claiming.cut_off()

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
    ) -> list[Run]:
        """Lock up to ``count`` due jobs and return them, the most urgent first. To be called shielded.

        Those without a queue are looked for ``after`` a priority, run_at and id.
        """
        parameters: dict[str, Any] = {"task_identifiers": task_identifiers, "count": count, "pool_id": self._pool_id}
        parameters |= zip(("after_priority", "after_run_at", "after_id"), after, strict=True)
        if forbidden_flags:
            parameters["forbidden_flags"] = forbidden_flags
        if self._clock is not None:
            parameters["now"] = self._clock()
        if self._max_payload_size is not None:
            parameters["max_size"] = self._max_payload_size
        try:
            jobs = list(map(_as_job, await self._fetch_claim(parameters)))
            jobs.sort(key=_URGENCY)
            return list(map(Run, jobs))
        except BaseException:
            self._is_claim_unanswered = True
            raise

    async def _fetch_claim(self, parameters: dict[str, Any]) -> Sequence[Any]:
        variant = self._variant_now(parameters)
        try:
            return await self._claiming.fetch_shielded(claim(self._schema, variant), parameters)
        except asyncpg.PostgresError as refusal:
            if not is_answer(refusal):  # it may have locked what it was to
                raise
        return await self._claim_around(parameters)

    def _variant_now(self, parameters: dict[str, Any]) -> Variant:
        """Name the refused jobs among the parameters; return the claim that takes what is there."""
        variant = self._variant._replace(forbidding_flags="forbidden_flags" in parameters)
        if refused := self._refused.ids():
            parameters["refused_ids"] = refused
            variant = variant._replace(refusing=True)
        return variant

    async def _claim_around(self, parameters: dict[str, Any]) -> Sequence[Any]:
        """Claim each job by itself, as one among them is refused, which is noted; until there is one or nothing else.

        The first claim is of no job: what is refused even then is about none of them.
        """
        wanted: int = parameters["count"]
        rows = await self._claim_among(parameters, [])
        while not rows:
            look = parameters | {"count": max(wanted, _LOOK_AHEAD)}
            found = await self._claiming.fetch(candidates(self._schema, self._variant_now(look)), look)
            for candidate in found:
                try:
                    rows += await self._claim_among(parameters, [candidate["id"]])
                except asyncpg.PostgresError as refusal:
                    if not (is_answer(refusal) and self._refused.add(candidate["id"], refusal)):
                        raise
                if len(rows) == wanted:
                    break
            if not found:
                break
        return rows

    async def _claim_among(self, parameters: dict[str, Any], ids: list[int]) -> list[Any]:
        variant = self._variant_now(parameters)._replace(among=True)
        return list(await self._claiming.fetch(claim(self._schema, variant), parameters | {"among_ids": ids}))

    async def complete(self, runs: Sequence[Run], *, around_locks: bool = False) -> Unwritten:
        """Delete the jobs of completed runs."""
        jobs = [run.job for run in runs]
        kinds = set(map(_KIND, jobs))
        attempt, key, queue_id = next(iter(kinds), (0, None, None))
        are_alike = len(kinds) == 1 and key is None and queue_id is None
        if around_locks or not are_alike or self._is_claim_unanswered:
            return await self._write(outcomes.complete(self._schema, around_locks=around_locks), runs, {})
        parameters = {
            "ids": [job.id for job in jobs],
            "attempt": attempt,
            "locked_at": max(jobs, key=_LOCKED).locked_at,
            "pool_id": self._pool_id,
        }
        [row] = await self._writing.fetch(outcomes.complete_alike(self._schema), parameters)
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
        statement = outcomes.fail(self._schema, around_locks=around_locks)
        try:
            return await self._write(statement, runs, parameters)
        except asyncpg.UntranslatableCharacterError:
            messages = [message.encode("ascii", "backslashreplace").decode() for message in parameters["messages"]]
            return await self._write(statement, runs, parameters | {"messages": messages})

    async def give_back(self, runs: Sequence[Run], *, around_locks: bool = False) -> Unwritten:
        """Return the jobs of runs that were not begun."""
        statement = outcomes.give_back(
            self._schema,
            heeding_retirements=await self._heeds_retirements(self._writing),
            around_locks=around_locks,
        )
        return await self._write(statement, runs, {"keys": [run.job.key for run in runs]})

    async def let_go(self, runs: Collection[Run], spent_ids: Collection[int]) -> bool:
        """Unlock what this pool has locked, but these runs' jobs and queues; False where some of it cannot be.

        False, too, where a claim that was given up may still lock more. Jobs of ``spent_ids`` had begun.
        """
        all_claims_ended = await self._claiming.lost_have_ended()
        own: dict[str, Any] = {"pool_id": self._pool_id}
        names = {"ids": [run.job.id for run in runs], "locked_ats": [run.job.locked_at for run in runs]}
        jobs = await self._claiming.fetch(orphaned_locks.find_orphaned_jobs(self._schema), own | names)
        heeding = await self._heeds_retirements(self._claiming)
        are_jobs_free = await self._let_go_of(
            orphaned_locks.release_jobs(self._schema, heeding_retirements=heeding),
            [row["id"] for row in jobs],
            own | {"spent_ids": list(spent_ids)},
        )
        queue_ids = [run.job.queue_id for run in runs if run.job.queue_id is not None]
        queues = await self._claiming.fetch(orphaned_locks.find_orphaned_queues(self._schema), own | {"ids": queue_ids})
        are_queues_free = await self._let_go_of(
            orphaned_locks.release_queues(self._schema), [row["id"] for row in queues], own
        )
        self._is_claim_unanswered &= not (all_claims_ended and are_jobs_free)
        return all_claims_ended and are_jobs_free and are_queues_free

    async def _let_go_of(self, statement: ClauseElement, ids: Sequence[int], parameters: dict[str, Any]) -> bool:
        """Unlock these, one by one where the server refuses; False where some of them stay locked."""
        if not ids:
            return True
        try:
            return len(await self._claiming.fetch(statement, {**parameters, "ids": ids})) == len(ids)
        except asyncpg.PostgresError as refusal:
            if not is_answer(refusal):
                raise
            if len(ids) == 1:
                log.debug("a lock of what is no longer known stays: %s", error_text(refusal))
                return False
        return all([await self._let_go_of(statement, [one], parameters) for one in ids])

    async def _heeds_retirements(self, connection: WorkerConnection) -> bool:
        """Tell whether Graphile Worker RS keeps marks of jobs whose attempts are not to be given back."""
        table = f"{quoted(self._schema)}._private_job_retirements"
        [row] = await connection.fetch(orphaned_locks.find_retirements(self._schema), {"retirements": table})
        return bool(row["found"])

    async def _write(self, statement: ClauseElement, runs: Sequence[Run], parameters: dict[str, Any]) -> Unwritten:
        return _unwritten(runs, await self._writing.fetch(statement, parameters | self._named(runs)))

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
    busy = {row["id"]: row["busy"] for row in rows}
    return Unwritten(
        lost=[run for run in runs if run.job.id not in busy],
        busy=[run for run in runs if busy.get(run.job.id)],
    )
