"""Slots: ``concurrency`` long-lived tasks that run claimed jobs, one at a time each."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

import anyio
from anyio.abc import TaskGroup

from gw_sqla.job import ClaimedJob, Failed, Outcome

__all__ = ["Slots"]

log = logging.getLogger(__name__)

SHUTDOWN_MESSAGE = "the worker was shut down before the job ended"


class Slots:
    """Takes claimed jobs, runs them, hands each outcome to ``finish``.

    An idle slot waits on an Event of its own; giving n jobs wakes n slots at most. ``ended`` is set
    when the last slot has ended.
    """

    def __init__(
        self,
        concurrency: int,
        *,
        execute: Callable[[ClaimedJob], Awaitable[Outcome]],
        finish: Callable[[Outcome], None],
        on_free: Callable[[], None],
    ) -> None:
        self._concurrency = concurrency
        self._execute = execute
        self._finish = finish
        self._on_free = on_free
        self._waiting: deque[ClaimedJob] = deque()
        self._running: dict[int, ClaimedJob] = {}
        self._idle: list[anyio.Event] = []
        self._closed = False
        self._left = concurrency
        self.ended = anyio.Event()

    @property
    def free(self) -> int:
        """How many jobs could start at once if they were given now."""
        return self._concurrency - len(self._running) - len(self._waiting)

    @property
    def is_idle(self) -> bool:
        """Whether no job waits here or runs."""
        return not self._running and not self._waiting

    @property
    def known_ids(self) -> list[int]:
        """The ids of the jobs that wait here or run."""
        return [*self._running, *(job.id for job in self._waiting)]

    def start(self, task_group: TaskGroup) -> None:
        """Start the slots in a task group; cancelling it cancels and fails the jobs that run."""
        for number in range(self._concurrency):
            task_group.start_soon(self._slot, name=f"gw_sqla slot {number}")

    def give(self, jobs: Iterable[ClaimedJob]) -> None:
        """Queue jobs for the slots, in this order."""
        self._waiting.extend(jobs)
        for _ in range(min(len(self._waiting), len(self._idle))):
            self._idle.pop().set()

    def close(self) -> list[ClaimedJob]:
        """Let the slots end after the jobs they run; return the jobs that were not started."""
        self._closed = True
        unstarted = list(self._waiting)
        self._waiting.clear()
        while self._idle:
            self._idle.pop().set()
        return unstarted

    async def _slot(self) -> None:
        try:
            await self._run_jobs()
        finally:
            self._left -= 1
            if self._left == 0:
                self.ended.set()

    async def _run_jobs(self) -> None:
        while True:
            while not self._waiting:
                if self._closed:
                    return
                wake = anyio.Event()
                self._idle.append(wake)
                await wake.wait()
            job = self._waiting.popleft()
            self._running[job.id] = job
            outcome: Outcome | None = None
            try:
                outcome = await self._execute(job)
            finally:
                if outcome is None:
                    log.warning("job %d (%s) was cancelled: %s", job.id, job.task_identifier, SHUTDOWN_MESSAGE)
                    outcome = Failed(job=job, message=SHUTDOWN_MESSAGE)
                del self._running[job.id]
                self._finish(outcome)
            self._on_free()
