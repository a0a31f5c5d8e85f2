"""PrometheusMetrics: an observer that counts what a worker does, for Prometheus.

Labels are the task's identifier, of a bounded number of tasks, and words of gw_sqla's own. Names of queues, keys, flags
and payloads never are: they are often tenants, and each new one would be a time series for good.

It is told where events happen, not in a thread: to count takes less than to hand over, and nothing is dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gw_sqla.errors import ConfigurationError
from gw_sqla.hooks.events import (
    CronJobsScheduled,
    CronTick,
    DatabaseFault,
    DatabaseFaultOver,
    JobsClaimed,
    JobsRecovered,
    LockLost,
    OutcomesWritten,
)
from gw_sqla.jobs.outcomes import Completed, Failed, Returned, Snoozed
from gw_sqla.settings import RunnerSettings
from gw_sqla.telemetry.fleet_figures import FleetFigures
from gw_sqla.telemetry.task_labels import TaskLabels
from gw_sqla.telemetry.worker_health import WorkerHealth

__all__ = ["PrometheusMetrics"]

log = logging.getLogger(__name__)

_JOB_SECONDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_WAIT_SECONDS = (0.01, 0.05, 0.25, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 3600.0, 21600.0)
_STATEMENT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_SIZES = (0.0, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
_LATE_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0)
_KEPT_SECONDS = 1.0


class PrometheusMetrics(WorkerHealth):
    """Give it to one runner, as ``Runner(observers=[...])``, and to `serve_http`; it knows how the worker is, too.

    Parameters: ``settings``, the runner's; ``registry``, of prometheus_client, else its default, in which your own
    metrics are too; ``fleet``, the figures of the whole queue (`FleetFigures`); ``most_tasks``, how many tasks have a
    label of their own, 1 to 10,000. Raises ConfigurationError where the registry has such metrics already.
    """

    def __init__(
        self,
        settings: RunnerSettings | None = None,
        *,
        registry: CollectorRegistry | None = None,
        fleet: FleetFigures | None = None,
        most_tasks: int = 200,
    ) -> None:
        if not isinstance(most_tasks, int) or isinstance(most_tasks, bool) or not 1 <= most_tasks <= 10_000:
            raise ConfigurationError(f"most_tasks: must be 1 to 10000, is {most_tasks!r}")
        super().__init__(settings)
        self.registry = registry = REGISTRY if registry is None else registry
        self.fleet = fleet
        self._labels = TaskLabels(most_tasks)
        self._text, self._rendered_at = b"", float("-inf")
        self._children: dict[tuple[str, str], Callable[[float], None]] = {}
        try:
            self._declare(registry)
        except ValueError as error:
            raise ConfigurationError(
                "registry: has gw_sqla's metrics already: for a second runner of the program make another "
                "prometheus_client.CollectorRegistry()"
            ) from error
        if fleet is not None:
            registry.register(fleet)

    def _declare(self, registry: CollectorRegistry) -> None:
        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"gw_sqla_{name}", text, labels, buckets=buckets, registry=registry)

        def gauge(name: str, text: str, value: Callable[[], float]) -> None:
            Gauge(f"gw_sqla_{name}", text, registry=registry).set_function(value)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"gw_sqla_{name}", text, labels, registry=registry)

        self._jobs = counter("jobs", "Runs of jobs that ended, by how.", "task", "outcome")
        self._job_seconds = histogram("job_seconds", "How long a handler took.", _JOB_SECONDS, "task")
        self._wait_seconds = histogram("job_wait_seconds", "From when it was due to its start.", _WAIT_SECONDS, "task")
        gauge("slots", "How many jobs this worker runs at once.", lambda: self.slots)
        gauge("slots_busy", "How many it runs now.", lambda: self.slots_busy)
        gauge("jobs_prefetched", "Jobs that were claimed and wait in this worker.", lambda: self.prefetched)
        gauge("listener_up", "Whether it hears notifications; else it polls.", lambda: self.is_listening)
        gauge("heartbeat_age_seconds", "Since a heartbeat was answered.", lambda: self.heartbeat_age)
        self._claim_seconds = histogram("claim_seconds", "How long claims took.", _STATEMENT_SECONDS)
        self._claim_jobs = histogram("claim_jobs", "How many jobs claims brought.", _SIZES)
        self._batch_seconds = histogram(
            "outcome_batch_seconds", "How long writes of outcomes took.", _STATEMENT_SECONDS
        )
        self._batch_jobs = histogram("outcome_batch_jobs", "How many outcomes were written together.", _SIZES)
        self._repeats = counter("outcome_repeats", "Writes of outcomes that had to be repeated.")
        self._outages_total = counter("database_outages", "Times that something of the worker's began to fail.")
        self._faults = counter("database_faults", "Tries that failed in outages that are over, and one of each other.")
        self._recovered = counter("recovered_jobs", "Jobs of dead workers that this worker has freed.")
        self._cron_late = histogram("cron_lateness_seconds", "How late crontab minutes were seen.", _LATE_SECONDS)
        self._cron_jobs = counter("cron_jobs", "Jobs of cron items that this worker has added.", "backfilled")

    @property
    def content_type(self) -> str:
        """The media type of `text`."""
        return CONTENT_TYPE_LATEST

    async def text(self) -> bytes:
        """Return all metrics of the registry as text, made once a second at most. Reads the fleet's figures first."""
        if self.fleet is not None:
            await self.fleet.refresh()
        if monotonic() - self._rendered_at >= _KEPT_SECONDS:
            self._text = generate_latest(self.registry)
            self._rendered_at = monotonic()
        return self._text

    # -- what is told; each name is an event's -------------------------------------------------------------------------

    def job_completed(self, event: Completed, /) -> None:
        """Count it."""
        super().job_completed(event)
        self._measure(event, "completed")

    def job_failed(self, event: Failed, /) -> None:
        """Count it."""
        super().job_failed(event)
        self._measure(event, "failed_permanently" if event.is_final else "failed")

    def job_snoozed(self, event: Snoozed, /) -> None:
        """Count it."""
        super().job_snoozed(event)
        self._measure(event, "snoozed")

    def job_returned(self, event: Returned, /) -> None:
        """Count it."""
        super().job_returned(event)
        self._count(event.job.task_identifier, "returned")

    def lock_lost(self, event: LockLost, /) -> None:
        """Count it."""
        super().lock_lost(event)
        self._count(event.outcome.job.task_identifier, "lost")

    def _measure(self, event: Completed | Failed | Snoozed, outcome: str) -> None:
        task = event.job.task_identifier
        self._count(task, outcome)
        self._observe(self._job_seconds, task, "seconds", event.seconds)
        self._observe(self._wait_seconds, task, "wait", event.wait_seconds)

    def _count(self, task: str, outcome: str) -> None:
        key = (self._labels.of(task), outcome)
        count = self._children.get(key)
        if count is None:
            count = self._children[key] = self._jobs.labels(*key).inc
        count(1)

    def _observe(self, histogram: Histogram, task: str, kind: str, seconds: float) -> None:
        key = (self._labels.of(task), f"_{kind}")
        observe = self._children.get(key)
        if observe is None:
            observe = self._children[key] = histogram.labels(key[0]).observe
        observe(seconds)

    def jobs_claimed(self, event: JobsClaimed, /) -> None:
        """Measure it."""
        super().jobs_claimed(event)
        self._claim_seconds.observe(event.seconds)
        self._claim_jobs.observe(event.count)

    def outcomes_written(self, event: OutcomesWritten, /) -> None:
        """Measure it."""
        self._batch_seconds.observe(event.seconds)
        self._batch_jobs.observe(event.count)
        self._repeats.inc(event.repeats)

    def database_fault(self, event: DatabaseFault, /) -> None:
        """Count it."""
        super().database_fault(event)
        self._outages_total.inc()
        self._faults.inc()

    def database_fault_over(self, event: DatabaseFaultOver, /) -> None:
        """Count the tries that nobody was told of."""
        super().database_fault_over(event)
        self._faults.inc(max(0, event.faults - 1))

    def jobs_recovered(self, event: JobsRecovered, /) -> None:
        """Count them."""
        self._recovered.inc(len(event.job_ids))

    def cron_tick(self, event: CronTick, /) -> None:
        """Measure it."""
        self._cron_late.observe(max(0.0, event.late_seconds))

    def cron_jobs_scheduled(self, event: CronJobsScheduled, /) -> None:
        """Count them."""
        self._cron_jobs.labels("true" if event.backfilled else "false").inc(len(event.identifiers))
