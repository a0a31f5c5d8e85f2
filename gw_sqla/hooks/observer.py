"""Observer: is told what happens; it cannot change it, break it or hold it up.

Each method may be ``def`` or ``async def``. Those of an observer that are ``async def`` are awaited one after another
in a task beside the worker's, in its event loop, and must not block that, as an async handler must not. Those that are
``def`` are called one after another in a thread of the observer's own, and may block. Each of the two has a queue
of bounded length; what an observer is too slow for is dropped, which is counted and logged. What it raises is logged.

Rejected: to call them where the event happens. A call that blocks, or a coroutine that is awaited there, holds up
every job of the worker; and an observer that is fast today writes to a disk that is full tomorrow.
"""

from __future__ import annotations

from collections.abc import Awaitable

from gw_sqla.hooks.events import (
    CronJobsScheduled,
    CronTick,
    DatabaseFault,
    DatabaseFaultOver,
    HeartbeatSent,
    JobsClaimed,
    JobsRecovered,
    JobStarted,
    ListenerLost,
    ListenerUp,
    LockLost,
    OutcomesWritten,
    StaleLocksFreed,
    Swept,
    WorkerStarted,
    WorkerStopped,
    WorkerStopping,
)
from gw_sqla.jobs.outcomes import Completed, Failed, Returned, Snoozed
from gw_sqla.jobs.pause import PauseSeen

__all__ = ["Observer", "PromptObserver"]


class Observer:
    """Base of observers: override what you want to hear of, with ``def`` or with ``async def``.

    A ``def`` is called in a thread of this observer's, an ``async def`` awaited in the worker's event loop; see
    docs/observing.md. What is not overridden costs nothing.
    """

    def worker_started(self, event: WorkerStarted, /) -> Awaitable[None] | None:
        """The worker begins to claim."""

    def worker_stopping(self, event: WorkerStopping, /) -> Awaitable[None] | None:
        """A stop was asked for."""

    def worker_stopped(self, event: WorkerStopped, /) -> Awaitable[None] | None:
        """All has ended."""

    def jobs_claimed(self, event: JobsClaimed, /) -> Awaitable[None] | None:
        """A claim was answered."""

    def job_started(self, event: JobStarted, /) -> Awaitable[None] | None:
        """A slot starts the job's handler, or a forwarder sends the job."""

    def job_completed(self, event: Completed, /) -> Awaitable[None] | None:
        """The job's completion is committed."""

    def job_failed(self, event: Failed, /) -> Awaitable[None] | None:
        """The job's failure is committed; ``event.is_final`` tells whether it has failed permanently."""

    def job_snoozed(self, event: Snoozed, /) -> Awaitable[None] | None:
        """It is committed that the job waits, its attempt given back; ``event.snoozes``: how often so far."""

    def job_returned(self, event: Returned, /) -> Awaitable[None] | None:
        """The job was not started, or not forwarded in an outage, and is back in the queue."""

    def lock_lost(self, event: LockLost, /) -> Awaitable[None] | None:
        """The outcome was not written."""

    def outcomes_written(self, event: OutcomesWritten, /) -> Awaitable[None] | None:
        """A batch of outcomes is committed."""

    def jobs_recovered(self, event: JobsRecovered, /) -> Awaitable[None] | None:
        """This worker has freed the jobs of a dead one."""

    def stale_locks_freed(self, event: StaleLocksFreed, /) -> Awaitable[None] | None:
        """This worker has freed locks of over 4 hours."""

    def swept(self, event: Swept, /) -> Awaitable[None] | None:
        """A sweep is done."""

    def heartbeat_sent(self, event: HeartbeatSent, /) -> Awaitable[None] | None:
        """The worker has said that it lives."""

    def cron_tick(self, event: CronTick, /) -> Awaitable[None] | None:
        """A minute of the crontab has come."""

    def cron_jobs_scheduled(self, event: CronJobsScheduled, /) -> Awaitable[None] | None:
        """Jobs of cron items were added by this worker, for a minute that came or, backfilled, that had passed."""

    def listener_up(self, event: ListenerUp, /) -> Awaitable[None] | None:
        """Notifications are heard."""

    def listener_lost(self, event: ListenerLost, /) -> Awaitable[None] | None:
        """Notifications are heard no more; the worker polls."""

    def database_fault(self, event: DatabaseFault, /) -> Awaitable[None] | None:
        """An outage begins."""

    def database_fault_over(self, event: DatabaseFaultOver, /) -> Awaitable[None] | None:
        """An outage is over."""

    def pause_seen(self, event: PauseSeen, /) -> Awaitable[None] | None:
        """The worker has seen that something is paused, or is no longer; it may be nothing that this worker runs."""


class PromptObserver(Observer):
    """Base of gw_sqla's own that only count: called where the event happens, so that they miss none.

    Their methods are ``def``, return within microseconds and wait for nothing.
    """
