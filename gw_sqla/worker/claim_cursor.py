"""ClaimCursor: the job after which the next claim begins to look.

The index of available jobs is in the order of claims, and PostgreSQL takes nothing out of it before the next
vacuum: a claim that begins at the start of the index first walks over all the jobs that were claimed since
then. After 100,000 of them that takes as long as claiming 80 jobs, and much longer while some old transaction
is open anywhere, when each of them has to be looked up to see that it is gone. So in a backlog each claim goes on where
the one before ended.

What comes before the cursor waits for the next look from the start: a job of a more urgent priority, one that was
given back, one that another pool had locked and lost. There is one as soon as a claim finds less than it asked for,
and within 50 ms; where a look from the start takes long, after a pause of nine times as long, and within a second.
(Jobs in named queues have an index by queue, which is always read from its start.)
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import NamedTuple

from gw_sqla.jobs.claimed_job import ClaimedJob

__all__ = ["START", "ClaimCursor", "CursorPosition"]

_SHORTEST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class CursorPosition(NamedTuple):
    """A place in the order of claims."""

    priority: int
    run_at: datetime
    id: int


START = CursorPosition(-(2**31), datetime(1970, 1, 1, tzinfo=UTC), 0)
"""Before every job: a priority has 16 bits."""


class ClaimCursor:
    """Moved by the claimer with each claim."""

    def __init__(self) -> None:
        self._after = START
        self._began = 0.0
        self._look_again = 0.0

    def begin(self) -> CursorPosition:
        """Return where the claim that begins now is to look."""
        self._began = monotonic()
        if self._began >= self._look_again:
            self._after = START
        return self._after

    def forget(self) -> None:
        """Look from the start next: a claim has failed, and what it may have locked is given back."""
        self._after = START

    def move(self, jobs: Sequence[ClaimedJob], *, full: bool) -> bool:
        """Note what the claim brought, in the order of claims; return whether there may be more.

        A claim that is not ``full`` has found all there is after the cursor, but perhaps not all there is.
        """
        looked_everywhere = self._after is START
        if looked_everywhere:
            now = monotonic()
            self._look_again = now + min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, 9 * (now - self._began)))
        if not full:
            self._after = START
        elif last := next((job for job in reversed(jobs) if job.queue_name is None), None):
            self._after = CursorPosition(last.priority, last.run_at, last.id)
        return full or not looked_everywhere
