"""Tests of all of it: committed jobs, run by a worker in the test's process.

What such a test commits stays: give it a database of its own (`gw_sqla.testing.postgres`), or empty the tables after
it. Nothing here polls: an outcome is told by the worker's own observers, after its commit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.errors import JobTesterError
from gw_sqla.hooks.events import JobStarted
from gw_sqla.hooks.interceptor import Interceptor
from gw_sqla.hooks.observer import Observer
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Completed, Failed, Outcome
from gw_sqla.jobs.stored_job import JobRow
from gw_sqla.jobs.task import Task
from gw_sqla.runner import Runner
from gw_sqla.settings import RunnerSettings
from gw_sqla.unit_of_work.pending_job import PendingJob
from gw_sqla.worker.worker_pool import RunCounts

__all__ = ["JobOutcomes", "run_until_idle", "running_worker"]

_DEADLINE = timedelta(seconds=10)


class JobOutcomes(Observer):
    """What a worker has made of jobs; an observer, of any `gw_sqla.Runner` in the event loop of the test."""

    def __init__(self) -> None:
        self._outcomes: dict[int, list[Outcome]] = {}
        self._started: dict[int, ClaimedJob] = {}
        self._changed = anyio.Event()

    async def of(
        self, job: JobRow | PendingJob | int, *, deadline: timedelta = _DEADLINE, attempt: int | None = None
    ) -> Completed | Failed:
        """Wait until a job has completed or failed permanently, and that is committed; return the outcome.

        Parameters: ``job``, as it was added, or its id; ``deadline``, how long to wait; ``attempt``: the outcome of
        this attempt, whatever it is. What was told before the call counts too. Raises TimeoutError, which says how far
        the job has come, when the time is over. A cancellation cancels the waiting.
        """
        job_id = job if isinstance(job, int) else job.job.id if isinstance(job, PendingJob) else job.id
        with anyio.move_on_after(deadline.total_seconds()):
            while (found := self._found(job_id, attempt)) is None:
                await self._changed.wait()
            return found
        raise TimeoutError(f"job {job_id} has no such outcome within {deadline}: {self._how_far(job_id)}")

    def last_started(self) -> str:
        """Say which jobs were started last."""
        names = [f"job {job.id} of {job.task_identifier!r}" for job in list(self._started.values())[-3:]]
        return f"the last to start were {', '.join(names)}" if names else "none was started"

    async def job_started(self, event: JobStarted) -> None:
        """Take note."""
        self._started[event.job.id] = event.job

    async def job_completed(self, event: Completed) -> None:
        """Take note."""
        self._note(event)

    async def job_failed(self, event: Failed) -> None:
        """Take note."""
        self._note(event)

    def _note(self, outcome: Outcome) -> None:
        self._outcomes.setdefault(outcome.job.id, []).append(outcome)
        self._changed.set()
        self._changed = anyio.Event()

    def _found(self, job_id: int, attempt: int | None) -> Completed | Failed | None:
        for outcome in self._outcomes.get(job_id, ()):
            if not isinstance(outcome, (Completed, Failed)):
                continue
            is_last = isinstance(outcome, Completed) or outcome.is_final
            if is_last if attempt is None else outcome.job.attempts == attempt:
                return outcome
        return None

    def _how_far(self, job_id: int) -> str:
        job = self._started.get(job_id)
        if job is None:
            return "it was not started: is it committed, due, and of a task that this worker has?"
        last = self._outcomes.get(job_id, [None])[-1]
        if isinstance(last, Failed) and last.job.attempts == job.attempts:
            return f"attempt {job.attempts} has failed ({last.message}), and the next is not due yet"
        return f"attempt {job.attempts} is running"


@asynccontextmanager
async def running_worker(
    engine: AsyncEngine,
    tasks: Mapping[str, Task[Any]],
    settings: RunnerSettings | None = None,
    *,
    observers: Sequence[Observer] = (),
    interceptors: Sequence[Interceptor] = (),
) -> AsyncIterator[JobOutcomes]:
    """Run a worker in the block, which stops gracefully at its end; yield what to ask for outcomes.

    Parameters and errors as those of `gw_sqla.Runner`. Committed jobs start at once, as they are announced.
    """
    outcomes = JobOutcomes()
    async with Runner(engine, tasks, settings, observers=[outcomes, *observers], interceptors=interceptors):
        yield outcomes


async def run_until_idle(
    engine: AsyncEngine,
    tasks: Mapping[str, Task[Any]],
    settings: RunnerSettings | None = None,
    *,
    observers: Sequence[Observer] = (),
    interceptors: Sequence[Interceptor] = (),
    deadline: timedelta = _DEADLINE,
    raise_errors: bool = True,
) -> RunCounts:
    """Run all committed jobs that are ready, and what they make ready, by a worker; return the counts.

    What handlers raised is raised when all have run, unless ``raise_errors=False``: see `gw_sqla.Runner.run_once`.
    Raises JobTesterError when the jobs have no end within ``deadline``: those that run are cancelled and failed.
    """
    outcomes = JobOutcomes()
    runner = Runner(engine, tasks, settings, observers=[outcomes, *observers], interceptors=interceptors)
    with anyio.move_on_after(deadline.total_seconds()):
        return await runner.run_once(raise_errors=raise_errors)
    raise JobTesterError(f"the jobs were not done within {deadline}: {outcomes.last_started()}")
