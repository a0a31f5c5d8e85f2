"""Claimer: asks the database for as many jobs as there is room for, when there may be some.

A pool has one for its slots, and one for each sink that jobs are forwarded to (`gw_sqla.worker.forwarder`). They share
a connection and take turns (`ClaimStore.turn`): what a claim has locked would else be an orphan to the others, until it
is answered. When it is back and prefetch leaves room for more, the next is sent (on asyncio)
before the slots, which the jobs have woken, have their first turn
(`gw_sqla.database.event_loops.call_asyncio_shielded`): the server looks for jobs while the handlers run. Two claims at
once, over two connections, were slower: each pays for stepping over the rows that the other has just locked.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta
from time import monotonic
from typing import Protocol, TypeVar

import anyio
import anyio.lowlevel

from gw_sqla.database.outage import DATABASE_FAULTS, Outage
from gw_sqla.hooks.events import JobsClaimed
from gw_sqla.hooks.observers import NOBODY, Observers
from gw_sqla.jobs.run import Run
from gw_sqla.statements.claim_rules import Bounds
from gw_sqla.worker.claim_cursor import ClaimCursor, Look
from gw_sqla.worker.claim_demand import Demand
from gw_sqla.worker.claim_store import ClaimStore
from gw_sqla.worker.finisher import Finisher
from gw_sqla.worker.known_runs import KnownRuns
from gw_sqla.worker.lease import Lease
from gw_sqla.worker.orphaned_locks import OrphanedLocks
from gw_sqla.worker.pauses import Pauses

__all__ = ["Claimer", "Taker"]

log = logging.getLogger(__name__)

T = TypeVar("T")

ClaimOfStore = Callable[[Sequence[str], int, Sequence[str], Look, Sequence[str]], Awaitable[list[Run]]]

_END_SECONDS = 5


class Taker(Protocol):
    """Who takes what is claimed: the slots, or a forwarder."""

    def wanted(self) -> int:
        """How many jobs to claim now."""
        ...

    def give(self, runs: Collection[Run], /) -> None:
        """Take what was claimed, the most urgent first."""


class Claimer:
    """Claims jobs for one taker of a worker pool. ``outage``: that of all the pool's claims.

    ``following``: it may be given several jobs of one queue, since it settles what was claimed together together.
    ``claim``: what claims, in place of the store.
    """

    def __init__(
        self,
        store: ClaimStore,
        demand: Demand,
        taker: Taker,
        finisher: Finisher,
        known: KnownRuns,
        orphaned_locks: OrphanedLocks,
        pauses: Pauses,
        *,
        task_identifiers: Sequence[str],
        forbidden_flags: Sequence[str],
        poll_interval: timedelta,
        lease: Lease,
        outage: Outage,
        following: bool = False,
        claim: ClaimOfStore | None = None,
        observers: Observers = NOBODY,
    ) -> None:
        self._store = store
        self._demand = demand
        self._taker = taker
        self._finisher = finisher
        self._known = known
        self._orphaned_locks = orphaned_locks
        self._pauses = pauses
        self._all_tasks = self._open_tasks = list(task_identifiers)
        self._pauses_seen = pauses.version
        self._forbidden_flags = list(forbidden_flags)
        self._poll_seconds = poll_interval.total_seconds()
        self._lease = lease
        self._claim_of_store = claim or (store.claim_with_following if following else store.claim)
        self._cursor = ClaimCursor()
        self._answered = anyio.Event()
        self._answered.set()
        self._outage = outage
        self._observers = observers
        self._tells = observers.hear_of(JobsClaimed)

    async def run(self) -> None:
        """Claim until cancelled. A claim in flight is finished and its jobs are given to the taker."""
        while True:
            if self._demand.may_have_more and self._wanted() > 0:
                await self._claim()
                continue
            if self._orphaned_locks.may_exist:
                async with self._store.turn:
                    await self._run_or_back_off(self._orphaned_locks.release)
                if self._demand.may_have_more and self._wanted() > 0:  # since then
                    continue
            pauses = self._pauses.seconds_to_next or math.inf  # a look that is due comes with the next claim
            longest = min(self._poll_seconds, self._orphaned_locks.seconds_to_next, pauses)
            with anyio.move_on_after(longest) as poll:
                await self._demand.wait()
            if poll.cancelled_caught:
                self._demand.may_have_more = True

    async def cut_off_late_claim(self) -> None:
        """Wait to be cancelled; then a claim in flight has some seconds still, before its connection is cut off.

        What it may have locked is released over the next connection.
        """
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.move_on_after(_END_SECONDS, shield=True) as patience:
                await self._answered.wait()
            if patience.cancelled_caught:
                log.warning("a claim was not answered for %g s while the worker stops: it is cut off", _END_SECONDS)
                with anyio.CancelScope(shield=True):
                    await self._store.cut_off()

    async def drain(self) -> bool:
        """Claim until nothing is ready and nothing is running or unwritten; tell whether there was anything."""
        found = False
        while True:
            idle = not self._known
            runs = await self._claim() if self._wanted() > 0 else None
            found |= bool(runs)
            if self._demand.may_have_more and self._wanted() > 0:
                continue
            if idle and runs is not None and not runs and not self._known:
                return found  # nothing of ours could have changed while the claim looked
            if not runs and (self._known or self._wanted() == 0):
                self._demand.may_have_more = True  # whatever ends next is a reason to look again
                await self._demand.wait()

    def _wanted(self) -> int:
        return 0 if self._finisher.is_behind else self._taker.wanted()

    async def _claim(self) -> list[Run] | None:
        """Claim once; None after a fault, when the backoff is over."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        if not self._lease.is_held:  # waited for without the turn, which the beat may need that brings it
            await self._lease.wait_until_held()
        async with self._store.turn:
            wanted = self._wanted() if self._lease.is_held else 0
            if wanted == 0:  # the room was taken while it waited, or the lease lost
                return None
            self._demand.may_have_more = False
            runs = await self._run_or_back_off(self._claim_for_taker, wanted)
        if runs is None:
            self._cursor.forget()
            self._demand.may_have_more = True
            return None
        is_full = len(runs) == wanted or _has_large(runs, Bounds.of(wanted, None).large)
        self._demand.may_have_more |= self._cursor.move([run.job for run in runs], full=is_full)
        return runs

    async def _run_or_back_off(self, statement: Callable[..., Awaitable[T]], *arguments: int) -> T | None:
        """Run a statement; None after a fault, when the backoff is over."""
        try:
            result = await statement(*arguments)
        except (*DATABASE_FAULTS, MemoryError) as fault:  # a TimeoutError too
            await self._outage.wait(fault)
            return None
        self._outage.over()
        return result

    async def _claim_for_taker(self, wanted: int) -> list[Run]:
        """Ask for jobs and give them to the taker.

        Shielded; the line bounds its time. asyncio's own cancellation, which no shield stops, may lose the
        answer, as a fault may: what was locked is released before the next claim, or at the end.
        """
        if self._orphaned_locks.may_exist:
            await self._orphaned_locks.release()
        if self._pauses.is_look_due:
            await self._pauses.look()
        if self._pauses_seen != self._pauses.version:
            self._pauses_seen = self._pauses.version
            self._open_tasks = self._pauses.open_tasks(self._all_tasks)
            self._cursor.forget()
        if not self._open_tasks:
            self._tell(0, wanted, 0.0)  # who watches must not take a worker that is paused for one that hangs
            return []
        with anyio.CancelScope(shield=True):
            self._answered = anyio.Event()
            began = monotonic()
            try:
                look = self._cursor.begin(self._demand.take_released())
                runs = await self._claim_of_store(
                    self._open_tasks, wanted, self._forbidden_flags, look, self._pauses.queues
                )
            except BaseException:
                self._orphaned_locks.may_exist = True
                raise
            finally:
                self._answered.set()
            self._tell(len(runs), wanted, monotonic() - began)
            self._taker.give(runs)
            return runs
        raise AssertionError("nothing cancels this scope")

    def _tell(self, count: int, wanted: int, seconds: float) -> None:
        if self._tells:
            self._observers.tell(JobsClaimed(count=count, wanted=wanted, seconds=seconds))


def _has_large(runs: Sequence[Run], large: int) -> bool:
    """Whether a claim may have left jobs for the size of their payloads; a character has four bytes at most."""
    return any(4 * len(run.job.payload_text) > large for run in runs)
