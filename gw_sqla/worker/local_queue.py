"""LocalQueue: runs of jobs that are claimed and not begun, in one deque that all slots share.

Taking a job from it costs nothing. ``prefetch`` is how many jobs may wait here beyond those that run; a claim is due
when there is room for one of ``batches`` of it, so that it is back before the rest is gone. Jobs that wait longer than
``prefetch_ttl``, because all slots are held up, go back for other workers, as from Graphile Worker's local queue; no
more are prefetched until a slot ends a job. Nor are more claimed while the large payloads that wait have `MOST_BYTES`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection
from datetime import timedelta
from itertools import repeat
from operator import attrgetter
from time import monotonic

from gw_sqla.jobs.run import Run
from gw_sqla.statements.claim_rules import MOST_BYTES

__all__ = ["LocalQueue"]

log = logging.getLogger(__name__)

_payload_text = attrgetter("job.payload_text")

_LARGE = 2**16
"""Characters of a payload from which on it is counted, each as a byte."""


class LocalQueue(deque[tuple[float, Run]]):
    """The runs that wait, each with the time of its claim; to ask whether there are any costs no call.

    ``concurrency`` is the number of slots. ``is_stalled``: it has given jobs back, and no slot ended one since.
    """

    def __init__(self, concurrency: int, prefetch: int, prefetch_ttl: timedelta, batches: int = 4) -> None:
        super().__init__()
        self.prefetch = prefetch
        self.is_stalled = False
        self._concurrency = concurrency
        self._batch = max(1, prefetch // batches)
        self._most_for_a_batch = prefetch + concurrency - self._batch
        self._ttl = prefetch_ttl.total_seconds()
        self._large: dict[Run, int] = {}

    @property
    def seconds_to_live(self) -> float:
        """For how long the oldest job may wait still."""
        return self._ttl + (self[0][0] - monotonic() if self else 0)

    def wanted(self, running: int) -> int:
        """How many jobs to claim while so many run: none, or at least a batch."""
        if self._large and sum(self._large.values()) >= MOST_BYTES:
            return 0
        room = self._concurrency - running - len(self)
        room = max(0, room) if self.is_stalled else room + self.prefetch
        return room if room >= self._batch or (room > 0 and self.is_stalled) else 0

    def has_room_for_a_batch(self) -> bool:
        """Whether a claim may be due, whatever runs."""
        return len(self) <= self._most_for_a_batch

    def put(self, runs: Collection[Run]) -> None:
        """Queue runs, in this order."""
        self.extend(zip(repeat(monotonic()), runs, strict=False))
        if self.prefetch and max(map(len, map(_payload_text, runs)), default=0) > _LARGE:
            self._large |= {run: size for run in runs if (size := len(run.job.payload_text)) > _LARGE}

    def take(self) -> tuple[float, Run]:
        """Return the next run, with the time of its claim; there must be one."""
        entry = self.popleft()
        if self._large:
            self._large.pop(entry[1], None)
        return entry

    def take_all(self) -> list[Run]:
        """Empty the queue."""
        runs = [run for _, run in self]
        self.clear()
        self._large.clear()
        return runs

    def take_stale(self) -> list[Run]:
        """Take out the runs that have waited for longer than their time to live."""
        before = monotonic() - self._ttl
        stale = [self.take()[1] for since, _ in list(self) if since <= before]
        if stale:
            log.warning("%d prefetched jobs go back: no slot was free for them in %g s", len(stale), self._ttl)
            self.is_stalled = True
        return stale

    def drop(self, runs: Collection[Run]) -> None:
        """Take these runs out."""
        left = [entry for entry in self if entry[1] not in runs]
        self.clear()
        self.extend(left)
        self._large = {run: size for run, size in self._large.items() if run not in runs}
