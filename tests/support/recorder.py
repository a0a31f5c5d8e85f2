"""An observer that remembers what became of jobs and lets a test wait for it."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from gw_sqla import ClaimedJob, Completed, Failed, JobStarted, LockLost, Observer, Outcome, Returned, Snoozed


class Recorder(Observer):
    """Keeps every event; `until` waits for a condition over them, with a deadline."""

    def __init__(self) -> None:
        self.started: list[ClaimedJob] = []
        self.completed: list[Completed] = []
        self.failed: list[Failed] = []
        self.returned: list[Returned] = []
        self.snoozed: list[Snoozed] = []
        self.lost: list[Outcome] = []
        self._changed = anyio.Event()

    async def job_started(self, event: JobStarted) -> None:
        self.started.append(event.job)
        self._changed.set()

    async def job_completed(self, outcome: Completed) -> None:
        self.completed.append(outcome)
        self._changed.set()

    async def job_failed(self, outcome: Failed) -> None:
        self.failed.append(outcome)
        self._changed.set()

    async def job_returned(self, outcome: Returned) -> None:
        self.returned.append(outcome)
        self._changed.set()

    async def job_snoozed(self, outcome: Snoozed) -> None:
        self.snoozed.append(outcome)
        self._changed.set()

    async def lock_lost(self, event: LockLost) -> None:
        self.lost.append(event.outcome)
        self._changed.set()

    async def until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Wait until the condition holds; it is tested after each event."""
        with anyio.fail_after(seconds):
            while not condition():
                self._changed = anyio.Event()
                await self._changed.wait()
