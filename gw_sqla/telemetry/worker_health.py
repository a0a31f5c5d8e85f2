"""WorkerHealth: an observer that knows how a worker is, for probes and gauges.

**Alive** (``/healthz``) is a worker whose event loop turns, which the answer itself proves, and whose heartbeats and
claims go on. A database that is away is no reason to be restarted: while the worker knows of an outage, and tries
again, it is alive. Nor is a worker dead that claims nothing because all its slots are busy.

**Ready** (``/readyz``) is one that works: it has found the schema to fit, is registered, hears notifications (or polls,
through a pooler), is answered by the database, and has not been told to stop.

What it knows it has from events, so that the worker itself keeps nothing for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from time import monotonic

from gw_sqla.hooks.events import (
    DatabaseFault,
    DatabaseFaultOver,
    HeartbeatSent,
    JobsClaimed,
    JobStarted,
    ListenerLost,
    ListenerUp,
    LockLost,
    WorkerStarted,
    WorkerStopped,
    WorkerStopping,
)
from gw_sqla.hooks.observer import PromptObserver
from gw_sqla.jobs.outcomes import Completed, Failed, Outcome, Returned, Snoozed
from gw_sqla.settings import RunnerSettings

__all__ = ["WorkerHealth"]

_CLAIM_SECONDS = 180.0
"""What a claim may take, with all that goes before it, and be on its way still."""


class WorkerHealth(PromptObserver):
    """Of one runner, whose ``settings`` it is given: by them it knows when a heartbeat or a claim is overdue."""

    def __init__(self, settings: RunnerSettings | None = None) -> None:
        settings = settings or RunnerSettings()
        self._listens = not settings.transaction_pooler
        self._beat_within = settings.heartbeat_threshold.total_seconds()
        self._claim_within = max(_CLAIM_SECONDS, 3 * settings.poll_interval / timedelta(seconds=1))
        self._outages: set[str] = set()
        self._running: set[int] = set()
        self._claimed_at = self._beaten_at = monotonic()
        self._forget()

    def _forget(self) -> None:
        self.is_started = self.is_stopping = self.is_listening = False
        self.slots = self.prefetched = 0
        self._running.clear()
        self._outages.clear()

    @property
    def slots_busy(self) -> int:
        """How many jobs run, or have ended and are being written."""
        return len(self._running)

    @property
    def heartbeat_age(self) -> float:
        """Seconds since a heartbeat was answered; 0 while no worker runs."""
        return monotonic() - self._beaten_at if self.is_started else 0.0

    def not_alive(self) -> Iterator[str]:
        """Yield what shows that the worker hangs."""
        if not self.is_started or self._outages:
            return
        if self.heartbeat_age > self._beat_within:
            yield f"no heartbeat for {self.heartbeat_age:.0f} s"
        silence = monotonic() - self._claimed_at
        if not self.is_stopping and self.slots_busy < self.slots and silence > self._claim_within:
            yield f"no claim for {silence:.0f} s, with {self.slots - self.slots_busy} slots free"

    def not_ready(self) -> Iterator[str]:
        """Yield why the worker does not work as it should."""
        if not self.is_started:
            yield "not started"
            return
        if self.is_stopping:
            yield "stopping"
        if self._listens and not self.is_listening:
            yield "hears no notifications"
        if self.heartbeat_age > self._beat_within:
            yield f"no heartbeat for {self.heartbeat_age:.0f} s"
        yield from (f"out of order: {doing}" for doing in sorted(self._outages))

    def worker_started(self, event: WorkerStarted, /) -> None:
        """Note it."""
        self._forget()
        self.is_started = True
        self.slots = event.slots
        self._beaten_at = self._claimed_at = monotonic()

    def worker_stopping(self, event: WorkerStopping, /) -> None:  # noqa: ARG002 - the observer's signature
        """Note it."""
        self.is_stopping = True

    def worker_stopped(self, event: WorkerStopped, /) -> None:  # noqa: ARG002
        """Note it."""
        self._forget()

    def jobs_claimed(self, event: JobsClaimed, /) -> None:
        """Note it."""
        self._claimed_at = monotonic()
        self.prefetched += event.count

    def job_started(self, event: JobStarted, /) -> None:
        """Note it."""
        self._running.add(event.job.id)
        self.prefetched -= 1

    def job_completed(self, event: Completed, /) -> None:
        """Note it."""
        self._ended(event)

    def job_failed(self, event: Failed, /) -> None:
        """Note it."""
        self._ended(event)

    def job_snoozed(self, event: Snoozed, /) -> None:
        """Note it."""
        self._ended(event)

    def job_returned(self, event: Returned, /) -> None:
        """Note it."""
        self._ended(event)

    def lock_lost(self, event: LockLost, /) -> None:
        """Note it."""
        self._ended(event.outcome)

    def _ended(self, outcome: Outcome) -> None:
        try:
            self._running.remove(outcome.job.id)
        except KeyError:  # it never ran: was given back, lost, or not to be run
            self.prefetched -= 1

    def heartbeat_sent(self, event: HeartbeatSent, /) -> None:  # noqa: ARG002
        """Note it."""
        self._beaten_at = monotonic()

    def listener_up(self, event: ListenerUp, /) -> None:  # noqa: ARG002
        """Note it."""
        self.is_listening = True

    def listener_lost(self, event: ListenerLost, /) -> None:  # noqa: ARG002
        """Note it."""
        self.is_listening = False

    def database_fault(self, event: DatabaseFault, /) -> None:
        """Note it."""
        self._outages.add(event.doing)

    def database_fault_over(self, event: DatabaseFaultOver, /) -> None:
        """Note it."""
        self._outages.discard(event.doing)
