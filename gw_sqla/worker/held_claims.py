"""HeldClaims: claims that lock jobs in a transaction that stays open, and write a lease only for what runs for long.

    claim: begin, lock the jobs and their queues          (``lease_after`` begins here)
      |    the hold's row names them, committed over the claims' connection
      v
    open: the slots run them as any others
      |
      | all have ended, or the time is over, or somebody asks for the lease
      v
    end: delete what was completed; lease what runs still, waits or has failed; delete the hold's row; commit
      |                                    |
      v                                    v
    told as written               an ordinary leased run: heartbeat, fencing, recovery, finisher

A short job costs the server a row lock and a deletion, where a lease writes a version of it with four index entries.
Two holds, each with a connection, take turns: one is written and claimed anew while the jobs of the other run. Where
neither is free and slots are idle, a claim writes leases as ever, so nobody waits for a straggler. The jobs' rows are
locked as by any claim, so those of all peers, which skip locked rows, pass over jobs and queues alike. (What a claim
has locked and not taken, because others were more urgent, is free again with the end of its hold.)

**What ends how.** Completed jobs are deleted in the transaction. What was not begun is free again by its end: nothing
was written. All else (a failure, a snooze, a job whose handler goes on) is leased in it, with the time and the attempt
of the claim, and goes the usual way afterwards, with all that may happen there; failures are not worth a second way.
What the server refuses in the transaction is undone to a savepoint; then everything is leased, and the finisher, which
sets aside what cannot be written, has it. Deferred constraints are made immediate: no row can make the commit fail.
Where a lease is refused (by a trigger), what runs is cut off; the next claim writes leases, and learns which job it is.

**A worker that dies** lets go of everything at once. So that it counts, the hold's row names what it had; who
sweeps (every worker does) and gets the row's advisory lock, which that transaction had, knows that it is dead, and
spends the attempts (`gw_sqla.statements.holds`). A pool that lives and has merely lost the connection rewrites the row
before, to those that had begun; sweeps give it ten seconds, in which nothing is counted. A job that a dead hold names
is leased at once where it is claimed before that. So a job that kills its worker is not free at once a second
time, and ends after ``max_attempts``, or one more where it was claimed within these seconds.

**A connection that is lost** is noticed at the next statement, at the end of ``lease_after`` at the latest. Running
handlers are cancelled as when a lock is lost, what has ended is not written: others may have the jobs. The server
ends a transaction that is idle for some seconds more than ``lease_after``: an event loop that stands still, perhaps
because its handler waits for the very row that its worker holds, comes to itself, and others get the jobs.

**A handler that touches its own job** waits for the row, at most until the lease is written. ``ctx.complete``, and with
it the tasks that are transactional, ask for the lease first. Then all is as with any lease.

**A stop** waits until no hold is open: that of a handler that goes on ends with its lease.

What it costs: six round trips for a claim and its end in place of two, so after a claim that found nothing the next
one writes leases: an idle worker keeps no transaction's connection, and loses no time with the first job that comes.
Jobs that were completed up to ``lease_after`` before a crash run again; people who look see held jobs as ready.

Measured (100,000 trivial jobs, one process, PostgreSQL 15): a third less WAL (415 bytes a job, 631 with leases) and
CPU of the server (7.7 us, 10.8 with leases, prefetch 2,000); the same of the worker, which is what bounds one process.

Rejected: to hold the jobs of transactional tasks not at all, by a claim of their own (the order of priorities would be
each one's); one row for each job (costs what it saves).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any

import anyio
import asyncpg

from gw_sqla.database.array_literals import ids_of
from gw_sqla.database.outage import DATABASE_FAULTS, has_no_connection_left, is_answer
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.jobs.outcomes import Completed, Returned
from gw_sqla.jobs.run import LOST, Run
from gw_sqla.statements import holds
from gw_sqla.worker.between_claims import ClaimConnection
from gw_sqla.worker.claim_cursor import Look
from gw_sqla.worker.claim_demand import Demand
from gw_sqla.worker.claim_store import ClaimStore
from gw_sqla.worker.finisher import Finisher
from gw_sqla.worker.hold import Hold, hold_of
from gw_sqla.worker.slots import Slots

__all__ = ["HeldClaims"]

log = logging.getLogger(__name__)

_IDLE_SECONDS = 10.0


class HeldClaims:
    """The holds of a worker pool, between its claimer, its slots and its finisher.

    To the claimer it is the taker, and what claims; to the slots what takes runs that have ended. ``slots`` is set
    before anything runs.
    """

    slots: Slots

    def __init__(
        self,
        every: Sequence[Hold],
        store: ClaimStore,
        claims: ClaimConnection,
        finisher: Finisher,
        demand: Demand,
        schema: str,
        pool_id: str,
        on_ended: Callable[[], None],
    ) -> None:
        """``on_ended`` is called when a hold that was lost is known to have ended."""
        self._every = every
        self._free = list(every)
        self._store = store
        self._claims = claims
        self._finisher = finisher
        self._demand = demand
        self._schema = schema
        self._pool_id = pool_id
        self._on_ended = on_ended
        self._misnamed: dict[int, list[int]] = {}  # keys of holds that were lost, with the jobs that had begun
        self._is_idle = False
        self._scope = anyio.CancelScope(shield=True)
        self._freed = anyio.Event()

    def wanted(self) -> int:
        """How many jobs to claim now: none while no hold is free, unless a slot would be idle."""
        return self.slots.wanted() if self._free or self.slots.are_out_of_jobs else 0

    def give(self, runs: Collection[Run]) -> None:
        """Give the runs to the slots, in this order."""
        self.slots.give(runs)

    async def claim(
        self,
        task_identifiers: Sequence[str],
        count: int,
        forbidden_flags: Sequence[str],
        look: Look,
        paused_queues: Sequence[str] = (),
    ) -> list[Run]:
        """Claim as `ClaimStore.claim` does, and hold the jobs if a hold is free. To be called shielded."""
        await self._rename_lost()
        runs: list[Run] | None = None
        if self._free and not self._is_idle:
            parameters = self._store.parameters(task_identifiers, count, forbidden_flags, look, paused_queues)
            runs = await self._claim_into(self._free.pop(), parameters)
        if runs is None:
            runs = await self._store.claim(task_identifiers, count, forbidden_flags, look, paused_queues)
        self._is_idle = not runs
        return runs

    async def _claim_into(self, hold: Hold, parameters: dict[str, Any]) -> list[Run] | None:
        try:
            return await self._hold(hold, parameters)
        finally:
            if not hold.is_open:
                self._free.append(hold)

    async def _hold(self, hold: Hold, parameters: dict[str, Any]) -> list[Run] | None:
        """Claim into a free hold, which is open then if there was anything; None where it cannot be had."""
        try:
            await hold.begin()
            jobs = await self._store.fetch_held(hold.connection, parameters)
            if not jobs:
                await hold.connection.execute_inside("rollback")
                return []
            runs = hold.runs_of(jobs)
            if await self._name(hold):
                hold.open()
                return runs
            await hold.lease(hold.runs)
            await hold.connection.commit()
        except BaseException as fault:
            if hold.settle():
                self._misnamed[hold.key] = []
            await hold.connection.close()
            if isinstance(fault, asyncpg.PostgresError) and is_answer(fault):
                log.debug("jobs cannot be held, and are claimed as ever: %s", error_text(fault))
                return None
            if has_no_connection_left(fault):
                return None
            raise
        hold.settle()
        return runs

    async def _name(self, hold: Hold) -> bool:
        """Write down what a hold has; return whether it may be held: a job that another hold died with may not."""
        ids = [run.job.id for run in hold.runs]
        [row] = await self._claims.connection.fetch(
            holds.name_held(self._schema), {"id": hold.key, "pool_id": self._pool_id, "ids": ids}
        )
        return row["suspects"] == "{}" or set(ids_of(row["suspects"])).isdisjoint(ids)

    async def _rename_lost(self) -> None:
        """Write down which jobs had begun in holds that were lost, and have ended on the server too."""
        for key, begun_ids in list(self._misnamed.items()):
            [row] = await self._claims.connection.fetch(
                holds.rename_held(self._schema), {"hold_id": key, "ids": begun_ids}
            )
            if row["has_ended"]:
                del self._misnamed[key]
                self._on_ended()  # whether it was committed is not known: then it has left leases

    def slot_freed(self) -> bool:
        """Claim soon if jobs are known to wait, and can be claimed; return whether somebody is woken by this."""
        return bool(self._free or self.slots.are_out_of_jobs) and self._demand.slot_freed()

    def finish(self, run: Run) -> None:
        """Take a run that has ended."""
        hold = hold_of(run)
        if hold is not None:
            if run.state is not LOST:
                hold.take(run)
                return
            hold.leave()
        self._finisher.add(run)

    async def lease(self, run: Run) -> None:
        """Have the run's lease written, if there is none yet, and wait for that."""
        hold = hold_of(run)
        if hold is not None:
            hold.wake.set()
            await hold.settled.wait()

    async def run(self) -> None:
        """End the holds in time, until `close`."""
        with self._scope:
            async with anyio.create_task_group() as keeping:
                for number, hold in enumerate(self._every):
                    keeping.start_soon(self._keep, hold, name=f"gw_sqla hold {number}")

    async def close(self, patience: float) -> None:
        """Wait until no hold is open, not longer than ``patience`` seconds; close the connections."""
        with anyio.move_on_after(patience, shield=True):
            while len(self._free) < len(self._every):
                self._freed = anyio.Event()
                await self._freed.wait()
        self._scope.cancel()
        for hold in self._every:
            if hold.runs:
                log.error("%d jobs that were held are free again: they could not be written in time", len(hold.runs))
            await hold.connection.close()

    async def _keep(self, hold: Hold) -> None:
        while True:
            with anyio.move_on_after(_IDLE_SECONDS):
                await hold.opened.wait()
            if not hold.is_open:
                await self._rest(hold)
                continue
            await hold.wait_until_due()
            await self._end(hold)
            self._free.append(hold)
            self._freed.set()
            self._demand.slot_freed()

    async def _rest(self, hold: Hold) -> None:
        """Close the connection of a hold that was not needed for a while; not while it claims."""
        if hold in self._free:
            self._free.remove(hold)
            await hold.connection.close()
            self._free.append(hold)
            self._freed.set()

    async def _end(self, hold: Hold) -> None:
        """Write what has ended, lease the rest, commit, and tell."""
        hold.is_open = False
        completed = [run for run in hold.ended if type(run.outcome) is Completed]
        given_back = [run for run in hold.ended if type(run.outcome) is Returned]
        try:
            is_written = await hold.complete(completed)
            settled = {*completed, *given_back} if is_written else set(given_back)
            if to_lease := [run for run in hold.runs if run not in settled and run.state is not LOST]:
                await hold.lease(to_lease)
            await hold.connection.commit()
        except DATABASE_FAULTS as fault:
            await self._lose(hold, fault)
            return
        ended, late = hold.ended, hold.late
        hold.settle()
        if settled:
            self._finisher.written([run for run in ended if run in settled])
        for run in (*ended, *late):
            if run not in settled:
                self._finisher.add(run)

    async def _lose(self, hold: Hold, fault: BaseException) -> None:
        """Cut off the runs of a hold whose transaction is gone; what has ended was not written."""
        self._misnamed[hold.key] = hold.begun_ids()
        ended = [*hold.ended, *hold.late]
        runs = [run for run in hold.settle() if run.state is not LOST]
        log.error("%d held jobs are lost, with the connection that held them: %s", len(runs), error_text(fault))
        self.slots.lose([run for run in runs if not run.has_ended])
        for run in ended:
            if run.state is not LOST:
                run.supersede()
                self._finisher.add(run)
        await hold.connection.close()
        self._is_idle |= isinstance(fault, asyncpg.PostgresError) and is_answer(fault)  # see "What ends how"
        self._demand.jobs_may_be_due()
