"""KnownRuns: what a worker pool holds: each run from its claim until its outcome is settled, by its job's id.

Of each job there is one, the newest: a pool can claim a job anew while it knows of an older run, whose lock somebody
took away. What is locked in the pool's name and is not here was claimed without an answer, or has lost its run.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import repeat
from operator import attrgetter

from gw_sqla.jobs.outcomes import Returned
from gw_sqla.jobs.run import LOST, Run

__all__ = ["KnownRuns"]

_job_id = attrgetter("job.id")


class KnownRuns(dict[int, Run]):
    """Filled by the slots, emptied by the finisher.

    ``spent_ids``: jobs that had begun when their run lost the lock; should the pool still hold one, it has its attempt
    spent. ``given_up``: runs whose outcomes cannot be written; their jobs stay locked, for a sweep after this worker.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spent_ids: set[int] = set()
        self.given_up: list[Run] = []

    def add(self, runs: Collection[Run]) -> list[Run]:
        """Know these from now on; return the older runs of the same jobs, whose places they take."""
        newer = dict(zip(map(_job_id, runs), runs, strict=True))
        older = [] if self.keys().isdisjoint(newer) else [self[job_id] for job_id in self.keys() & newer]
        self.update(newer)
        return older

    def holding(self) -> list[Run]:
        """Those whose locks are to be left alone."""
        return [run for run in self.values() if run.state is not LOST] + self.given_up

    def forget(self, runs: Sequence[Run]) -> None:
        """Forget these, unless a newer run of the same job has taken the place."""
        known = list(map(self.pop, map(_job_id, runs), repeat(None)))
        if known == runs:  # so it is, but when a job was claimed anew
            return
        self.update((newest.job.id, newest) for newest in known if newest is not None)
        for run in runs:
            if self.get(run.job.id) is run:
                del self[run.job.id]

    def lose(self, runs: Sequence[Run]) -> None:
        """Forget these, whose locks were lost."""
        self.spent_ids |= {run.job.id for run in runs if not isinstance(run.outcome, Returned)}
        self.forget(runs)

    def give_up(self, runs: Sequence[Run]) -> None:
        """Forget these, but keep their locks."""
        self.given_up.extend(runs)
        self.forget(runs)
