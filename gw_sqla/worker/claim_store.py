"""ClaimStore: claims jobs, and releases orphaned locks, in short statements over a connection of its own.

Its statements run in autocommit: no BEGIN and COMMIT round trips around them. Claims have one connection, outcomes
another (`gw_sqla.worker.outcome_store`), so that neither waits for the other or for the handlers. Faults of the
database pass through as one of `gw_sqla.database.outage.DATABASE_FAULTS`; what to do about them is decided by the
callers, with `gw_sqla.database.outage.Outage` for the backoff and the log.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any

import anyio
import asyncpg
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.database.driver_statements import Statements
from gw_sqla.database.held_transaction import HeldTransaction
from gw_sqla.database.outage import is_answer
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.pause import Pause, as_pause
from gw_sqla.jobs.run import Run
from gw_sqla.statements import job_queries, orphaned_locks, pauses
from gw_sqla.statements.claim import candidates, claim, hold
from gw_sqla.statements.claim_rules import Bounds, Reach, Variant
from gw_sqla.statements.following_claim import claim_following
from gw_sqla.worker.claim_cursor import Look
from gw_sqla.worker.refused_claims import RefusedClaims
from gw_sqla.worker.row_refusals import unlock_around_refusals
from gw_sqla.worker.rust_tables import has_retirements

__all__ = ["ClaimStore"]

log = logging.getLogger(__name__)

_LOOK_AHEAD = 100
"""So many jobs are looked at, at least, where some are refused."""
_FEWEST_EACH = 10
"""So many jobs that follow in a queue are looked at, at least, and twice a fair share."""

_as_job = partial(tuple.__new__, ClaimedJob)  # ClaimedJob._make, without a call in Python for each job
_URGENCY = itemgetter(*map(ClaimedJob._fields.index, ("priority", "run_at", "id")))


class ClaimStore:
    """The claims of a worker pool. All methods raise `DATABASE_FAULTS`; cancellation cancels.

    Who calls them, but `cut_off`, holds the ``turn``, until the pool knows the runs that a claim has brought.
    """

    def __init__(
        self,
        connection: Statements,
        schema: str,
        pool_id: str,
        *,
        clock: Callable[[], datetime] | None = None,
        max_payload_size: int | None = None,
        leaves_oversized: bool = False,
        accepted_flags: Sequence[str] = (),
        flag_allowlist: Sequence[str] | None = None,
    ) -> None:
        """``connection``: of its own, in autocommit; ``clock`` tells which jobs are due, in place of the database's.

        A payload of more than ``max_payload_size`` bytes is not fetched: its job comes with an empty text, or stays.
        ``accepted_flags`` and ``flag_allowlist`` as in `gw_sqla.RunnerSettings`.
        """
        self._connection = connection
        self.turn = anyio.Lock(fast_acquire=True)
        self._clock = clock
        self._refused = RefusedClaims()
        self._max_payload_size = max_payload_size
        is_sized = max_payload_size is not None
        self._routing: dict[str, Any] = {"accepted_flags": list(accepted_flags)} if accepted_flags else {}
        if flag_allowlist is not None:
            self._routing["flag_allowlist"] = list(flag_allowlist)
        self._variant = Variant(
            accepting_flags=bool(accepted_flags),
            allowlisting=flag_allowlist is not None,
            by_clock=clock is not None,
            sized=is_sized,
            leaving=is_sized and leaves_oversized,
        )
        self._claim_is_unanswered = False
        self._schema = schema
        self._pool_id = pool_id

    async def close(self) -> None:
        """Close the connection; shielded, and not longer than some seconds."""
        await self._connection.close()

    @property
    def claim_is_unanswered(self) -> bool:
        """Whether a claim has ended without an answer, and what it may have locked is not released yet."""
        return self._claim_is_unanswered

    async def cut_off(self) -> None:
        """End the connection of a claim that is under way."""
        await self._connection.cut_off()

    async def register_tasks(self, task_identifiers: Collection[str]) -> None:
        """Make the task identifiers known, so that no caller's first add_job has to."""
        statement = job_queries.register_tasks(self._schema)
        await self._connection.fetch(statement, {"identifiers": sorted(task_identifiers)})

    async def find_pauses(self) -> list[tuple[Pause, float | None]]:
        """Return what is paused now, and for how many seconds; None where somebody must end it."""
        rows = await self._connection.fetch(pauses.find_pauses(self._schema), {})
        return [(as_pause(row), row["seconds_left"]) for row in rows]

    async def claim(
        self,
        task_identifiers: Sequence[str],
        count: int,
        forbidden_flags: Sequence[str],
        look: Look,
        paused_queues: Sequence[str] = (),
        among: Sequence[int] | None = None,
    ) -> list[Run]:
        """Lock up to ``count`` due jobs and return them, the most urgent first. To be called shielded.

        ``look``: where, as of `gw_sqla.worker.claim_cursor`. ``among``: only jobs of these ids.
        """
        return await self._claim(
            self._fetch_claim, task_identifiers, count, forbidden_flags, look, paused_queues, among
        )

    async def claim_with_following(
        self,
        task_identifiers: Sequence[str],
        count: int,
        forbidden_flags: Sequence[str],
        look: Look,
        paused_queues: Sequence[str] = (),
    ) -> list[Run]:
        """The same, with several jobs of one queue: for callers who settle all of them together."""
        fetch = self._fetch_with_following
        return await self._claim(fetch, task_identifiers, count, forbidden_flags, look, paused_queues)

    async def _claim(
        self,
        fetch: Callable[[dict[str, Any]], Awaitable[Sequence[Any]]],
        task_identifiers: Sequence[str],
        count: int,
        forbidden_flags: Sequence[str],
        look: Look,
        paused_queues: Sequence[str],
        among: Sequence[int] | None = None,
    ) -> list[Run]:
        parameters = self.parameters(task_identifiers, count, forbidden_flags, look, paused_queues)
        try:
            rows = await (fetch(parameters) if among is None else self._claim_among(parameters, among))
            jobs = list(map(_as_job, rows))
            jobs.sort(key=_URGENCY)
            return list(map(Run, jobs))
        except BaseException:
            self._claim_is_unanswered = True
            raise

    def parameters(
        self,
        task_identifiers: Sequence[str],
        count: int,
        forbidden_flags: Sequence[str],
        look: Look,
        paused_queues: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Return the parameters of a claim's statement."""
        parameters: dict[str, Any] = {"task_identifiers": task_identifiers, "count": count, "pool_id": self._pool_id}
        parameters |= look.parameters()
        parameters |= Bounds.of(count, self._max_payload_size)._asdict()
        if forbidden_flags:
            parameters["forbidden_flags"] = forbidden_flags
        if paused_queues:
            parameters["paused_queues"] = paused_queues
        if self._routing:
            parameters |= self._routing
        if self._clock is not None:
            parameters["now"] = self._clock()
        if self._max_payload_size is not None:
            parameters["max_size"] = self._max_payload_size
        return parameters

    async def fetch_held(self, connection: HeldTransaction, parameters: dict[str, Any]) -> list[ClaimedJob]:
        """Lock jobs in the transaction of this connection, as `claim` would; the most urgent first. Shielded."""
        statement = hold(self._schema, self._variant_now(parameters))
        rows = await connection.fetch_inside_shielded(statement, parameters)
        return sorted(map(_as_job, rows), key=_URGENCY)

    async def _fetch_with_following(self, parameters: dict[str, Any]) -> Sequence[Any]:
        rows = await self._fetch_claim(parameters)
        queue_ids = [row["queue_id"] for row in rows if row["queue_id"] is not None]
        room = parameters["count"] - len(rows)
        if not queue_ids or not room:
            return rows
        most, large = self._max_payload_size, parameters["large"]
        parameters |= {"count": room, "queue_ids": queue_ids, "large": large if most is None else min(large, most)}
        parameters["each"] = min(room, _FEWEST_EACH + 2 * room // len(queue_ids))
        statement = claim_following(self._schema, self._variant_now(parameters))
        try:
            return [*rows, *await self._connection.fetch_shielded(statement, parameters)]
        except asyncpg.PostgresError as refusal:
            if not is_answer(refusal):
                raise
            log.debug("the jobs that follow in queues were not claimed: %s", error_text(refusal))
            return rows

    async def _fetch_claim(self, parameters: dict[str, Any]) -> Sequence[Any]:
        variant = self._variant_now(parameters)
        try:
            return await self._connection.fetch_shielded(claim(self._schema, variant), parameters)
        except asyncpg.PostgresError as refusal:
            if not is_answer(refusal):  # it may have locked what it was to
                raise
        return await self._claim_around(parameters)

    def _variant_now(self, parameters: dict[str, Any]) -> Variant:
        """Name the refused jobs among the parameters; return the claim that takes what is there."""
        reach = Reach.ALL
        if "after_priority" in parameters:
            reach = Reach.ONWARD if "released_queues" in parameters else Reach.ONWARD_UNQUEUED
        variant = self._variant._replace(
            reach=reach,
            forbidding_flags="forbidden_flags" in parameters,
            pausing_queues="paused_queues" in parameters,
        )
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
            found = await self._connection.fetch(candidates(self._schema, self._variant_now(look)), look)
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

    async def _claim_among(self, parameters: dict[str, Any], ids: Sequence[int]) -> list[Any]:
        variant = self._variant_now(parameters)._replace(reach=Reach.AMONG)
        return list(await self._connection.fetch(claim(self._schema, variant), parameters | {"among_ids": ids}))

    async def release_orphaned(self, runs: Collection[Run], spent_ids: Collection[int]) -> bool:
        """Unlock what this pool has locked, but these runs' jobs and queues; False where some of it cannot be.

        False, too, where a claim that was given up may still lock more. Jobs of ``spent_ids`` had begun.
        """
        all_claims_ended = await self._connection.lost_have_ended()
        own: dict[str, Any] = {"pool_id": self._pool_id}
        names = {"ids": [run.job.id for run in runs], "locked_ats": [run.job.locked_at for run in runs]}
        jobs = await self._connection.fetch(orphaned_locks.find_orphaned_jobs(self._schema), own | names)
        heeding = await has_retirements(self._connection, self._schema)
        are_jobs_free = await self._release(
            orphaned_locks.release_jobs(self._schema, heeding_retirements=heeding),
            "job",
            [row["id"] for row in jobs],
            own | {"spent_ids": list(spent_ids)},
        )
        queue_ids = [run.job.queue_id for run in runs if run.job.queue_id is not None]
        find_queues = orphaned_locks.find_orphaned_queues(self._schema)
        queues = await self._connection.fetch(find_queues, own | {"ids": queue_ids})
        are_queues_free = await self._release(
            orphaned_locks.release_queues(self._schema), "queue", [row["id"] for row in queues], own
        )
        self._claim_is_unanswered &= not (all_claims_ended and are_jobs_free)
        return all_claims_ended and are_jobs_free and are_queues_free

    async def _release(self, statement: ClauseElement, what: str, ids: list[int], parameters: dict[str, Any]) -> bool:
        """Unlock these, one by one where the server refuses; False where some of them stay locked."""
        if not ids:
            return True
        freed = await unlock_around_refusals(
            self._connection,
            statement,
            parameters | {"ids": ids},
            ((f"{what} {one}, which no run has,", parameters | {"ids": [one]}) for one in ids),
            level=logging.DEBUG,
        )
        return len(freed) == len(ids)
