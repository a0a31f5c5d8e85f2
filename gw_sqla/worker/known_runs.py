"""KnownRuns: what a worker pool holds: each run from its claim until its outcome is settled, by its job's id.

Of each job there is one, the newest: a pool can claim a job anew while it knows of an older run, whose lock somebody
took away. What is locked in the pool's name and is not here was claimed without an answer.
"""

from __future__ import annotations

from collections.abc import Iterable

from gw_sqla.jobs.run import Run

__all__ = ["KnownRuns"]


class KnownRuns(dict[int, Run]):
    """Filled by the slots, emptied by the finisher."""

    def add(self, runs: Iterable[Run]) -> list[Run]:
        """Know these from now on; return the older runs of the same jobs, whose places they take."""
        newer = {run.job.id: run for run in runs}
        older = [] if self.keys().isdisjoint(newer) else [self[job_id] for job_id in self.keys() & newer]
        self.update(newer)
        return older

    def running(self) -> list[Run]:
        """Those whose handlers go on."""
        return [run for run in self.values() if run.is_running]

    def forget(self, runs: Iterable[Run]) -> None:
        """Let go of these, unless a newer run of the same job has taken the place."""
        for run in runs:
            job_id = run.job.id
            if self.get(job_id) is run:
                del self[job_id]
