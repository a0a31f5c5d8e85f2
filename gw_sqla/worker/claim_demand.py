"""Demand: whether there may be jobs to claim, and the wake-up of the claimer.

Set by a notification, by the poll timer, by a claim that got all it asked for or did not look everywhere, and by
the release of a queue: a finished job of a named queue frees the next one, and no notification is sent for that. Which
queues were released is kept for the next claim.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from operator import attrgetter

import anyio

from gw_sqla.jobs.outcomes import Outcome, Returned

__all__ = ["Demand", "Demands"]

_queue_id = attrgetter("job.queue_id")


class Demand:
    """Shared by those who know of jobs and the claimer, who waits. Must be made inside the event loop."""

    def __init__(self) -> None:
        self.may_have_more = True
        self._released: set[int] = set()
        self._is_woken = False
        self._wake = anyio.Event()

    def jobs_may_be_due(self) -> None:
        """Claim soon: something says that there are jobs."""
        self.may_have_more = True
        self._wake_up()

    def slot_freed(self) -> bool:
        """Claim soon if jobs are known to wait for a slot; return whether somebody is woken by this."""
        if self.may_have_more and not self._is_woken:
            self._wake_up()
            return True
        return False

    def outcomes_written(self, outcomes: Sequence[Outcome]) -> None:
        """Claim soon if a queue was released, or if unwritten outcomes held claims up."""
        released = set(filter(None, map(_queue_id, outcomes)))
        if self.may_have_more or released:
            self._released |= released
            self.may_have_more = True
            self._wake_up()

    def take_released(self) -> Collection[int]:
        """Return the ids of the queues that were released since the last call."""
        released, self._released = self._released, set()
        return released

    def _wake_up(self) -> None:
        self._is_woken = True  # said here as well: slots ask after each job
        self._wake.set()

    async def wait(self) -> None:
        """Wait for one of the calls above to wake the claimer, from now on."""
        if self._is_woken:
            self._is_woken = False
            self._wake = anyio.Event()
        await self._wake.wait()


class Demands:
    """Several demands: each is told."""

    def __init__(self, demands: Sequence[Demand]) -> None:
        self._demands = demands

    def jobs_may_be_due(self) -> None:
        """Claim soon, all of you."""
        for demand in self._demands:
            demand.jobs_may_be_due()

    def outcomes_written(self, outcomes: Sequence[Outcome]) -> None:
        """Tell each: the next job of a released queue may be anyone's. What was given back is not announced."""
        if Returned in map(type, outcomes):
            self.jobs_may_be_due()
            return
        for demand in self._demands:
            demand.outcomes_written(outcomes)
