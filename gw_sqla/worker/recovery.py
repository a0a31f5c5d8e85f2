"""Recovery: frees the locks of dead worker pools, and those that nobody has released for 4 hours.

Every pool sweeps; there is no leader. A sweep is one small query while all are alive, and of any number
of sweepers one recovers a dead pool (`gw_sqla.statements.workers`). A pool that restarts after a crash
sweeps at once, but its predecessor is dead only when the threshold has passed.

A recovered job has spent the attempt that its worker died in. So a job that kills its worker fails
permanently at last, and its last_error says why, instead of killing workers for ever. So has one that its worker held
without a lease (`gw_sqla.worker.held_claims`), though it was free at once.

Owners that never registered (Graphile Worker for Node.js and for Rust) get the contract's 4 hours. As
the peers do, that is looked at every 8 to 10 minutes, the first time within one: it reads all jobs. As often it is said
which jobs nobody takes because no living worker knows their task: a module that was not imported, most often; and what
snoozed jobs have left behind is taken out (`gw_sqla.statements.snoozes`).
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable
from datetime import timedelta
from time import monotonic

import anyio

from gw_sqla.database.outage import DATABASE_FAULTS, Outage
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.hooks.events import JobsRecovered, StaleLocksFreed, Swept
from gw_sqla.hooks.observers import NOBODY, Observers
from gw_sqla.worker.sweeps import Recovered, Sweeps

__all__ = ["Recovery"]

log = logging.getLogger(__name__)

_ANSWER_WITHIN = timedelta(seconds=45)
_OVERDUE = timedelta(minutes=1)
"""For so long jobs of a task that no worker knows may wait: a worker that knows it may be starting."""
_MOST_TASKS = 20


class Recovery:
    """Sweeps in the background of a worker pool; ``on_unlocked`` is called when jobs may be due again."""

    def __init__(
        self,
        sweeps: Sweeps,
        *,
        interval: timedelta,
        delay: timedelta,
        on_unlocked: Callable[[], None],
        look_within: float = 60,
        observers: Observers = NOBODY,
    ) -> None:
        self._sweeps = sweeps
        self._interval = interval.total_seconds()
        self._delay = delay
        self._on_unlocked = on_unlocked
        self._outage = Outage("the recovery of dead workers", observers)
        self._observers = observers
        self._next_look = monotonic() + _jitter(0, look_within)
        self._next_sweep = -math.inf

    async def run(self) -> None:
        """Sweep until cancelled, at once unless that was just done; a sweep that fails is tried again."""
        while True:
            await anyio.sleep(max(0.0, self._next_sweep - monotonic()))
            await self.sweep()

    async def sweep(self) -> None:
        """Sweep once; after a fault of the database the backoff is waited for."""
        began = monotonic()
        try:
            with anyio.fail_after(_ANSWER_WITHIN.total_seconds()):
                dead = await self._recover_the_dead()
                if monotonic() >= self._next_look:
                    self._next_look = monotonic() + _jitter(8 * 60, 10 * 60)
                    await self._unlock_stale()
                    await self._say_unknown_tasks(_OVERDUE)
                    await self._sweeps.forget_snoozes()
        except DATABASE_FAULTS as fault:  # a TimeoutError too
            await self._outage.wait(fault)
            return
        finally:
            await self._sweeps.close()
        self._outage.over()
        self._observers.tell(Swept(workers=dead, seconds=monotonic() - began))
        self._next_sweep = monotonic() + self._interval * _jitter(0.5, 1)

    async def say_what_is_left(self) -> None:
        """Log which jobs are ready of tasks that no living worker knows; a fault of the database costs only that."""
        try:
            with anyio.fail_after(_ANSWER_WITHIN.total_seconds()):
                await self._say_unknown_tasks(timedelta(0))
        except DATABASE_FAULTS as fault:
            log.debug("looking for jobs of unknown tasks: %s", error_text(fault))
        finally:
            await self._sweeps.close()

    async def _say_unknown_tasks(self, waited: timedelta) -> None:
        unknown = await self._sweeps.unknown_tasks(waited)
        if unknown:
            tasks = [f"{task} ({jobs})" for task, jobs in unknown.items()]
            log.warning(
                "jobs are ready whose tasks no living worker knows: %s; is the module that declares them imported, and "
                "its registry this worker's? (workers for Node.js and Rust do not say what they know)",
                ", ".join(tasks[:_MOST_TASKS]) + (", ..." if len(tasks) > _MOST_TASKS else ""),
            )

    async def _recover_the_dead(self) -> int:
        """Free what dead pools hold; return how many they were."""
        recovered = await self._sweeps.recover(self._delay)
        for pool in recovered:
            log.warning(
                "dead worker recovered: %s; its %d jobs are unlocked %s",
                pool.what,
                len(pool.job_ids),
                pool.job_ids[:20],
            )
            self._say_final(pool)
        held = await self._sweeps.settle_holds(self._delay)
        for pool in held:
            log.warning(
                "the connection of worker %s ended, and it had begun, or claimed, jobs %s: each has spent an attempt",
                pool.what,
                pool.job_ids[:20],
            )
            self._say_final(pool)
        if recovered or held:
            self._on_unlocked()
        return len(recovered)

    def _say_final(self, pool: Recovered) -> None:
        if pool.final_ids:
            log.error("jobs %s have failed permanently: their worker died at the last attempt", pool.final_ids[:20])
        self._observers.tell(
            JobsRecovered(worker=pool.what, job_ids=tuple(pool.job_ids), final_ids=tuple(pool.final_ids))
        )

    async def _unlock_stale(self) -> None:
        unlocked = await self._sweeps.unlock_stale()
        if unlocked.owners:
            log.warning(
                "%d jobs and %d queues were locked for over 4 hours and are unlocked; their owners: %s",
                unlocked.jobs,
                unlocked.queues,
                ", ".join(unlocked.owners[:20]),
            )
            self._observers.tell(
                StaleLocksFreed(owners=tuple(unlocked.owners), jobs=unlocked.jobs, queues=unlocked.queues)
            )
            self._on_unlocked()


def _jitter(least: float, most: float) -> float:
    return random.uniform(least, most)  # noqa: S311 - not a secret
