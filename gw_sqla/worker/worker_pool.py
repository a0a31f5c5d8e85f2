"""WorkerPool: one run of a runner.

What it is made of: `gw_sqla.worker.composition`. How jobs come in: `gw_sqla.worker.intake`. In which order it works and
ends: `gw_sqla.worker.stop_order`. Here is what holds for the whole of the run: the pool's id, its tasks made known, its
resources and processes open, its registration from the first heartbeat to the last outcome.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any

from anyio.abc import TaskStatus
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.crontab import CronItem
from gw_sqla.errors import SchemaTooNewError
from gw_sqla.execution.loop_watchdog import watch_loop
from gw_sqla.execution.resources import open_resources
from gw_sqla.hooks.events import WorkerStarted, WorkerStopped, WorkerStopping
from gw_sqla.hooks.interceptor import Interceptor
from gw_sqla.hooks.observers import Observers
from gw_sqla.jobs.task import Task
from gw_sqla.settings import RunnerSettings
from gw_sqla.worker.composition import compose
from gw_sqla.worker.intake import take_in, take_in_once
from gw_sqla.worker.stop_order import work_until_stopped
from gw_sqla.worker.stop_request import StopRequest

__all__ = ["RunCounts", "WorkerPool"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunCounts:
    """How many runs of jobs ended how; a job that failed and was retried counts in both, one that was snoozed too.

    ``failed_tasks``: the failed runs of each task; two counts compare without it.
    """

    completed: int
    failed: int
    failed_tasks: Mapping[str, int] = field(default_factory=dict, compare=False)
    snoozed: int = 0

    def __add__(self, other: RunCounts) -> RunCounts:
        """Return the counts of both."""
        tasks = Counter(self.failed_tasks) + Counter(other.failed_tasks)
        snoozed = self.snoozed + other.snoozed
        return RunCounts(self.completed + other.completed, self.failed + other.failed, tasks, snoozed)

    def __str__(self) -> str:
        tasks = ", ".join(f"{task}: {count}" for task, count in sorted(self.failed_tasks.items()))
        counts = f"completed {self.completed}, failed {self.failed}" + (f" ({tasks})" if tasks else "")
        return counts + (f", snoozed {self.snoozed}" if self.snoozed else "")


class WorkerPool:
    """One run of a Runner; ``stop`` ends it. Must be made inside the event loop."""

    def __init__(
        self,
        engine: AsyncEngine,
        tasks: Mapping[str, Task[Any]],
        settings: RunnerSettings,
        observers: Observers,
        cron_items: Sequence[CronItem],
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        self.pool_id = f"pool-{secrets.token_hex(9)}"
        self.stop = StopRequest()
        self._tasks = tasks
        self._settings = settings
        self._cron_items = cron_items
        self._observers = observers
        self._parts = compose(engine, tasks, settings, observers, cron_items, self.pool_id, self.stop, interceptors)

    async def run(self, task_status: TaskStatus[None], *, with_signals: bool, once: bool) -> RunCounts:
        """Work until stopped, or, with ``once``, until nothing is ready; then stop in order."""
        async with self._observers.delivering():
            return await self._run(task_status, with_signals=with_signals, once=once)

    async def _run(self, task_status: TaskStatus[None], *, with_signals: bool, once: bool) -> RunCounts:
        parts, stop = self._parts, self.stop
        began: float | None = None
        bring_in = partial(take_in_once, parts, stop) if once else partial(self._stay, task_status)
        try:
            await parts.claim_store.register_tasks(self._tasks)
            async with (
                parts.forwarders,
                parts.processes,
                open_resources(self._tasks.values()) as parts.workplace.resources,
                watch_loop(self._settings.blocking_threshold),
            ):
                await parts.heartbeat.begin()
                began = monotonic()
                self._observers.tell(
                    WorkerStarted(pool_id=self.pool_id, tasks=tuple(self._tasks), slots=self._settings.concurrency)
                )
                await work_until_stopped(
                    parts, stop, self._settings, bring_in, with_signals=with_signals, on_stopping=self._tell_stopping
                )
        finally:
            has_released = await parts.orphaned_locks.release_at_end()
            await parts.heartbeat.end(holds_nothing=has_released and not parts.known.holding())
            await parts.sweeps.close()
            await parts.claim_store.close()
            await parts.outcome_store.close()
            parts.outcome_log.close()
            if began is not None:
                self._tell_end(monotonic() - began)
        if stop.for_migration:
            raise SchemaTooNewError(
                self._settings.schema, "a breaking migration of the worker schema has begun; upgrade gw_sqla"
            )
        finisher = parts.finisher
        return RunCounts(finisher.completed, finisher.failed, finisher.failed_tasks, finisher.snoozed)

    def _tell_stopping(self, running: int) -> None:
        self._observers.tell(WorkerStopping(pool_id=self.pool_id, running=running))

    def _tell_end(self, seconds: float) -> None:
        finisher = self._parts.finisher
        self._observers.tell(
            WorkerStopped(
                pool_id=self.pool_id,
                seconds=seconds,
                completed=finisher.completed,
                failed=finisher.failed,
                snoozed=finisher.snoozed,
            )
        )

    async def _stay(self, task_status: TaskStatus[None]) -> None:
        slots = self._settings.concurrency
        log.info("worker %s runs %d tasks in %d slots", self.pool_id, len(self._tasks), slots)
        if self._cron_items:
            log.info("worker %s schedules %d cron items", self.pool_id, len(self._cron_items))
        for item in self._cron_items:
            if item.task not in self._tasks:
                log.info("cron item %s: its task %s is none of this worker's", item.identifier, item.task)
        await take_in(self._parts, self.stop, task_status)
