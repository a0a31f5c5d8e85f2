"""Claimer: asks the database for as many jobs as there is room for, when there may be some.

With prefetch a second claim may be under way while the first is, over a connection of its own, as long as
claims come back full: most of a claim's time is the server's, and the claims and the handlers then
share the machine's cores. Two are enough to keep a server process and this one busy.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import anyio.lowlevel

from gw_sqla.job import ClaimedJob
from gw_sqla.store import DATABASE_FAULTS, Outage, Store
from gw_sqla.worker.demand import Demand
from gw_sqla.worker.finisher import Finisher
from gw_sqla.worker.lease import Lease
from gw_sqla.worker.slots import Slots

__all__ = ["Claimer"]

log = logging.getLogger(__name__)

_CLAIM_TIMEOUT = timedelta(seconds=60)
"""How long a claim in flight may hold up a stop: it is shielded, so that no job is locked and forgotten."""


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
        self._may_have_forgotten = False
        self._backlog = False
        self._claims = 0
        self._asked = 0
        self._outage = Outage("claiming jobs")

    async def run(self) -> None:
        """Claim until cancelled. A claim in flight is finished and its jobs are given to the slots."""
        async with self._assisted():
            while True:
                if self._demand.may_have_more and self._wanted() > 0:
                    await self._claim(line=0)
                    continue
                with anyio.move_on_after(self._poll_seconds) as poll:
                    await self._demand.wait()
                if poll.cancelled_caught:
                    self._demand.may_have_more = True

    async def drain(self) -> None:
        """Claim until nothing is ready and nothing is running or unwritten."""
        async with self._assisted():
            await self._claim_all()

    @asynccontextmanager
    async def _assisted(self) -> AsyncIterator[None]:
        """Let other lines claim too, while there is a backlog."""
        async with anyio.create_task_group() as assistants:
            for line in range(1, self._store.claim_lines):
                assistants.start_soon(self._assist, line, name=f"gw_sqla claimer {line}")
            yield
            assistants.cancel_scope.cancel()

    async def _assist(self, line: int) -> None:
        while True:
            await self._demand.wait()
            while self._backlog and self._demand.may_have_more and self._wanted() > 0:
                await self._claim(line)

    async def _claim_all(self) -> None:
        while True:
            idle = self._is_idle()
            jobs = await self._claim(line=0) if self._wanted() > 0 else None
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
        return self._slots.is_idle and self._finisher.backlog == 0 and self._claims == 0

    def _wanted(self) -> int:
        if self._finisher.backlog >= self._most_unwritten or (self._may_have_forgotten and self._claims):
            return 0
        return self._slots.wanted(self._asked)

    async def _claim(self, line: int) -> list[ClaimedJob] | None:
        """Claim once; None after a fault, when the backoff is over."""
        await anyio.lowlevel.checkpoint_if_cancelled()  # the claim itself is shielded
        if not self._lease.is_held:
            await self._lease.held()
        wanted = self._wanted()
        if wanted == 0:  # the room was taken while it waited
            return None
        self._demand.may_have_more = self._backlog and self._store.claim_lines > 1
        self._claims += 1
        self._asked += wanted
        try:
            with anyio.fail_after(_CLAIM_TIMEOUT.total_seconds(), shield=True):
                await self._give_back_forgotten()
                jobs = await self._store.claim(self._task_identifiers, wanted, self._forbidden_flags, line=line)
                self._slots.give(jobs)
        except DATABASE_FAULTS as fault:  # a TimeoutError too
            self._may_have_forgotten = True
            self._claims -= 1
            self._asked -= wanted
            self._demand.may_have_more = True
            await self._outage.wait(fault)
            return None
        self._claims -= 1
        self._asked -= wanted
        self._outage.over()
        self._backlog = len(jobs) == wanted
        self._demand.claim_ended(full=self._backlog)
        return jobs

    async def _give_back_forgotten(self) -> None:
        """After a fault: an earlier claim may have locked jobs although its answer was lost."""
        if self._may_have_forgotten:
            await self._store.give_back_forgotten([*self._slots.known_ids, *self._finisher.known_ids])
            self._may_have_forgotten = False
