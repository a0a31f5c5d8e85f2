"""Claimer: asks the database for as many jobs as there is room for, when there may be some.

One claim is under way at a time. When it is back and prefetch leaves room for more, the next is sent (on asyncio)
before the slots, which the jobs have woken, have their first turn
(`gw_sqla.database.event_loops.call_asyncio_shielded`): the server looks for jobs while the handlers run. Two claims at
once, over two connections, were slower: each pays for stepping over the rows that the other has just locked.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

import anyio
import anyio.lowlevel

from gw_sqla.database.outage import DATABASE_FAULTS, Outage
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.worker.claim_demand import Demand
from gw_sqla.worker.claim_position import Mark
from gw_sqla.worker.finisher import Finisher
from gw_sqla.worker.lease import Lease
from gw_sqla.worker.slots import Slots
from gw_sqla.worker.store import Store

__all__ = ["Claimer"]

log = logging.getLogger(__name__)

_END_SECONDS = 5


class Claimer:
    """Claims jobs for the slots of one worker pool."""

    def __init__(
        self,
        store: Store,
        demand: Demand,
        slots: Slots,
        finisher: Finisher,
        *,
        task_identifiers: Sequence[str],
        forbidden_flags: Sequence[str],
        poll_interval: timedelta,
        most_unwritten: int,
        lease: Lease,
    ) -> None:
        self._store = store
        self._demand = demand
        self._slots = slots
        self._finisher = finisher
        self._task_identifiers = list(task_identifiers)
        self._forbidden_flags = list(forbidden_flags)
        self._poll_seconds = poll_interval.total_seconds()
        self._most_unwritten = most_unwritten
        self._lease = lease
        self._mark = Mark()
        self._may_have_forgotten = False
        self._outage = Outage("claiming jobs")

    async def run(self) -> None:
        """Claim until cancelled. A claim in flight is finished and its jobs are given to the slots."""
        while True:
            if self._demand.may_have_more and self._wanted() > 0:
                await self._claim()
                continue
            with anyio.move_on_after(self._poll_seconds) as poll:
                await self._demand.wait()
            if poll.cancelled_caught:
                self._demand.may_have_more = True

    async def drain(self) -> None:
        """Claim until nothing is ready and nothing is running or unwritten."""
        while True:
            idle = self._is_idle()
            jobs = await self._claim() if self._wanted() > 0 else None
            if self._demand.may_have_more and self._wanted() > 0:
                continue
            if idle and jobs is not None and not jobs and self._is_idle():
                return  # nothing of ours could have changed while the claim looked
            if not jobs and not self._is_idle():
                self._demand.may_have_more = True  # whatever ends next is a reason to look again
                await self._demand.wait()

    async def end(self) -> bool:
        """Return what a claim without an answer may have locked; False where that is not known to be done.

        Shielded, and not longer than some seconds.
        """
        with anyio.move_on_after(_END_SECONDS, shield=True):
            try:
                await self._give_back_forgotten()
            except DATABASE_FAULTS as fault:
                log.debug("returning what may have been claimed: %s", fault)
        return not self._may_have_forgotten

    def _is_idle(self) -> bool:
        return self._slots.is_idle and self._finisher.backlog == 0

    def _wanted(self) -> int:
        return self._slots.wanted() if self._finisher.backlog < self._most_unwritten else 0

    async def _claim(self) -> list[ClaimedJob] | None:
        """Claim once; None after a fault, when the backoff is over."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        if not self._lease.is_held:
            await self._lease.held()
        wanted = self._wanted()
        if wanted == 0:  # the room was taken while it waited
            return None
        self._demand.may_have_more = False
        try:
            await self._give_back_forgotten()
            jobs = await self._locked(wanted)
        except DATABASE_FAULTS as fault:  # a TimeoutError too
            self._mark.forget()
            self._demand.may_have_more = True
            await self._outage.wait(fault)
            return None
        self._outage.over()
        self._demand.may_have_more |= self._mark.move(jobs, full=len(jobs) == wanted)
        return jobs

    async def _locked(self, wanted: int) -> list[ClaimedJob]:
        """Ask for jobs and give them to the slots.

        Shielded; the line bounds its time. asyncio's own cancellation, which no shield stops, may lose the
        answer, as a fault may: then `end` returns what was locked.
        """
        with anyio.CancelScope(shield=True):
            self._may_have_forgotten = True  # until the answer is here
            jobs = await self._store.claim(self._task_identifiers, wanted, self._forbidden_flags, self._mark.begin())
            self._slots.give(jobs)
            self._may_have_forgotten = False
            return jobs
        raise AssertionError("nothing cancels this scope")

    async def _give_back_forgotten(self) -> None:
        """After a fault: an earlier claim may have locked jobs although its answer was lost."""
        if self._may_have_forgotten:
            await self._store.give_back_forgotten([*self._slots.known_ids, *self._finisher.known_ids])
            self._may_have_forgotten = False
