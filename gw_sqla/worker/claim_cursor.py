"""ClaimCursor: the jobs after which the next claim begins to look.

The indexes of available jobs are in the order of claims, and PostgreSQL takes nothing out of them before the next
vacuum: a claim that begins at the start of an index first walks over all the jobs that were claimed since
then. After 100,000 of them that takes as long as claiming 80 jobs, and much longer while some old transaction
is open anywhere, when each of them has to be looked up to see that it is gone. So in a backlog each claim goes on where
the one before ended: among the jobs without a queue after the last of these, among those in queues after the last of
those. While no look from the start has found a job in a queue, claims do not look for any, which is faster.

What comes before the cursor waits for the next look from the start: a job of a more urgent priority, one that was
given back, one that another pool had locked and lost. There is one as soon as a claim finds less than it asked for,
and within 50 ms; where a look from the start takes long, after a pause of nine times as long, and within a second.
The next job of a queue that this pool has released waits for nothing: the next claim looks at that queue wherever the
cursor is. Otherwise an urgent queue would run one job in 50 ms beside a backlog.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any, NamedTuple

from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.statements.claim_rules import Reach

__all__ = ["EVERYWHERE", "START", "ClaimCursor", "CursorPosition", "Look"]

_SHORTEST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_MOST_RELEASED = 1000
"""Of more queues, their jobs are found by a look from the start."""


class CursorPosition(NamedTuple):
    """A place in the order of claims."""

    priority: int
    run_at: datetime
    id: int


START = CursorPosition(-(2**31), datetime(1970, 1, 1, tzinfo=UTC), 0)
"""Before every job: a priority has 16 bits."""


class Look(NamedTuple):
    """Where a claim looks: after which jobs without a queue, after which in queues, and at what ``released`` queues.

    Which of them counts is said by ``reach``.
    """

    unqueued: CursorPosition
    queued: CursorPosition
    released: Sequence[int] = ()
    reach: Reach = Reach.ONWARD

    def parameters(self) -> dict[str, Any]:
        """Return those of the claim."""
        found: dict[str, Any] = {}
        if self.reach is not Reach.ALL:
            found |= zip(("after_priority", "after_run_at", "after_id"), self.unqueued, strict=True)
        if self.reach is Reach.ONWARD:
            names = ("after_queued_priority", "after_queued_run_at", "after_queued_id")
            found |= zip(names, self.queued, strict=True)
            found["released_queues"] = self.released
        return found


EVERYWHERE = Look(START, START, reach=Reach.ALL)


class ClaimCursor:
    """Moved by the claimer with each claim."""

    def __init__(self) -> None:
        self._look = EVERYWHERE
        self._began = 0.0
        self._look_again = 0.0

    def begin(self, released: Collection[int] = ()) -> Look:
        """Return where the claim that begins now is to look; ``released``: ids of queues, since the last one."""
        self._began = monotonic()
        if self._began >= self._look_again or len(released) > _MOST_RELEASED:
            self._look = EVERYWHERE
        if not released or self._look is EVERYWHERE:
            return self._look
        return self._look._replace(released=list(released), reach=Reach.ONWARD)

    def forget(self) -> None:
        """Look from the start next: a claim has failed, and what it may have locked is given back."""
        self._look = EVERYWHERE

    def move(self, jobs: Sequence[ClaimedJob], *, full: bool) -> bool:
        """Note what the claim brought, in the order of claims; return whether there may be more.

        A claim that is not ``full`` has found all there is after the cursor, but perhaps not all there is.
        """
        looked_everywhere = self._look is EVERYWHERE
        if looked_everywhere:
            now = monotonic()
            self._look_again = now + min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, 9 * (now - self._began)))
        self._look = self._after(jobs) if full else EVERYWHERE
        return full or not looked_everywhere

    def _after(self, jobs: Sequence[ClaimedJob]) -> Look:
        unqueued, queued, _, reach = self._look
        if reach is Reach.ALL:
            reach = Reach.ONWARD_UNQUEUED
        if last := next((job for job in reversed(jobs) if job.queue_id is None), None):
            unqueued = _position(last)
        if any(job.queue_id is not None for job in jobs):
            reach = Reach.ONWARD
            last = next(job for job in reversed(jobs) if job.queue_id is not None)
            queued = max(queued, _position(last))  # that of a released queue may come before it
        return Look(unqueued, queued, reach=reach)


def _position(job: ClaimedJob) -> CursorPosition:
    return CursorPosition(job.priority, job.run_at, job.id)
