"""JobChains: which jobs add which, to name those that add each other without end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gw_sqla.errors import JobTesterError
from gw_sqla.jobs.stored_job import JobDetails

__all__ = ["JobChains"]

_MOST_NAMED = 8


class JobChains:
    """Of one call of `run_jobs`."""

    def __init__(self) -> None:
        self._added_by: dict[int, int | None] = {}
        self._tasks: dict[int, str] = {}
        self._runs: Counter[int] = Counter()
        self._running: int | None = None

    def note(self, jobs: Iterable[JobDetails]) -> None:
        """Take note of the jobs that are there: new ones were added by the one that ran last."""
        for job in jobs:
            if job.id not in self._tasks:
                self._tasks[job.id] = str(job.task_identifier)
                self._added_by[job.id] = self._running

    def ran(self, job_id: int) -> None:
        """Take note that a job was run."""
        self._running = job_id
        self._runs[job_id] += 1

    def too_many(self, due: int, limit: int) -> JobTesterError:
        """Return the error that says why there is no end: the job ``due`` would be the next."""
        runs = f"{limit} jobs have run, and job {due} of {self._tasks[due]!r} is due still"
        times = self._runs[due]
        if times > 1:
            return JobTesterError(
                f"{runs}, which has run {times} times: it fails, and its backoff lets it come again at once"
            )
        line = [self._tasks[due]]
        ancestor = self._added_by[due]
        while ancestor is not None and len(line) < _MOST_NAMED:
            line.append(self._tasks[ancestor])
            ancestor = self._added_by[ancestor]
        if len(line) == 1:
            return JobTesterError(f"{runs}: raise the limit, if the test needs so many")
        adds = " adds ".join(repr(task) for task in reversed(line))
        return JobTesterError(
            f"{runs}; these jobs add each other: {adds}: let the chain end, pass recursive=False, or raise the limit"
        )
