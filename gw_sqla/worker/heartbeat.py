"""Heartbeat: says that the pool is alive, and learns which locks it has lost.

        register -> beat, every interval -> ... -> deregister, when everything is written
                      |
                      | its row is gone: a sweep took it for dead
                      v
        cut off the runs whose locks are gone, register again

It beats on the event loop of the handlers, not in a thread. A thread would go on saying "alive" for a
worker whose event loop stands still, and such a worker neither ends jobs nor writes outcomes. The price:
a handler that blocks the event loop for longer than the threshold (60 s unless set) is taken for dead,
and its jobs run again elsewhere. The threshold is four beats wide for that reason; blocking work belongs
in a sync handler, which has a thread.

A pool that was taken for dead keeps its id. That is safe because each write names the attempt and the time of the lock
(`gw_sqla.jobs.run`): nothing that was begun under a lost lock can meet a lock that the pool takes later on the
same job. Without a lease (`gw_sqla.worker.lease`) it claims nothing; before it has one again, each run whose lock is
gone is cut off.

The same answer tells of single locks that were lost (an administrator, a peer's sweep after 4 hours).
"""

from __future__ import annotations

import logging
from datetime import timedelta
from time import monotonic

import anyio

from gw_sqla.database.outage import DATABASE_FAULTS, Outage
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.hooks.events import HeartbeatSent
from gw_sqla.hooks.observers import NOBODY, Observers
from gw_sqla.jobs.run import Run
from gw_sqla.worker.known_runs import KnownRuns
from gw_sqla.worker.lease import Lease, lease_clock
from gw_sqla.worker.registration import Registration
from gw_sqla.worker.slots import Slots

__all__ = ["Heartbeat"]

log = logging.getLogger(__name__)

_DEREGISTER_SECONDS = 5


class Heartbeat:
    """Keeps a pool registered while it runs."""

    def __init__(
        self,
        registration: Registration,
        lease: Lease,
        slots: Slots,
        known: KnownRuns,
        *,
        interval: timedelta,
        threshold: timedelta,
        observers: Observers = NOBODY,
    ) -> None:
        self._registration = registration
        self._lease = lease
        self._slots = slots
        self._known = known
        self._interval = interval.total_seconds()
        self._threshold = threshold.total_seconds()
        self._answer_within = max(1.0, min(10.0, self._threshold / 4))
        self._taken_for_dead = False
        self._outage = Outage("the heartbeat", observers)
        self._observers = observers

    async def begin(self) -> None:
        """Register and beat for the first time. Raises database errors as they are."""
        since = lease_clock()
        began = monotonic()
        await self._registration.register()
        await self._registration.beat([])
        self._lease.grant(since, self._threshold)
        self._observers.tell(HeartbeatSent(seconds=monotonic() - began))

    async def run(self) -> None:
        """Beat until cancelled; a beat that fails is tried again until one is answered."""
        while True:
            await anyio.sleep(self._interval)
            while not await self._beat():
                pass

    async def end(self, *, holds_nothing: bool) -> None:
        """Deregister, if the pool holds no lock; one that may hold some is recovered like a dead one.

        Shielded, and not longer than some seconds.
        """
        with anyio.move_on_after(_DEREGISTER_SECONDS, shield=True):
            try:
                if holds_nothing:
                    await self._registration.deregister()
            except DATABASE_FAULTS as fault:
                log.debug("deregistering: %s", error_text(fault))
        await self._registration.close()

    async def _beat(self) -> bool:
        since, began = lease_clock(), monotonic()
        runs = [run for run in self._known.values() if run.needs_lock]
        try:
            with anyio.fail_after(self._answer_within):
                answer = await self._registration.beat(runs)
                lost = answer.lost if answer.registered else await self._lost_by_a_dead_pool(runs)
        except DATABASE_FAULTS as fault:  # a TimeoutError too
            await self._outage.wait(fault)
            return False
        self._outage.over()
        self._slots.lose(lost)
        if not answer.registered:
            return await self._register_again()
        self._lease.grant(since, self._threshold)
        self._observers.tell(HeartbeatSent(seconds=monotonic() - began))
        return True

    async def _lost_by_a_dead_pool(self, runs: list[Run]) -> list[Run]:
        """Look anew: the beat may have waited for the sweep that it had not seen when it began."""
        self._lease.revoke()
        if not self._taken_for_dead:
            self._taken_for_dead = True
            log.error("this worker was taken for dead: no heartbeat of it had come for %g s", self._threshold)
        return await self._registration.lost(runs)

    async def _register_again(self) -> bool:
        """Register again, and hold the lease again."""
        since = lease_clock()
        try:
            with anyio.fail_after(self._answer_within):
                await self._registration.register()
        except DATABASE_FAULTS as fault:
            await self._outage.wait(fault)
            return False
        self._taken_for_dead = False
        self._lease.grant(since, self._threshold)
        log.warning("this worker is registered again, and goes on")
        return True
