"""FleetFigures: the figures of the whole queue (`gw_sqla.admin.Admin.read_fleet`), read now and then, for metrics.

Any number of workers may have them, and one at a time reads: the one whose session holds an advisory lock. Who is asked
by a monitor first has it, and when that one ends, or loses its connection, PostgreSQL frees it for the next who is
asked. So there is nothing to elect, and what the database does for the figures does not grow with the workers. Through
a pooler in transaction mode no session is anybody's, so there workers do not read; the exporter does.

An answer is kept for ``interval``, however often it is asked for; where there is none the figures are gone, not old.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from time import monotonic

import anyio
from prometheus_client import Metric
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from gw_sqla.admin import Fleet, ScanLimits, SyncAdmin
from gw_sqla.database.outage import DATABASE_FAULTS
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.errors import ConfigurationError, GwSqlaError
from gw_sqla.statements.fleet import hold_reading
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["FleetFigures"]

log = logging.getLogger(__name__)

_LIMITS = ScanLimits(rows=20_000, timeout=timedelta(seconds=2))
_ANSWER_SECONDS = 3.0
"""Below the four seconds that a supervisor waits for its processes: the worker's own figures come in any case."""


class FleetFigures(Collector):
    """Reads over a connection of its own, made as those of ``engine``; `close` closes it.

    Parameters: ``schema``, the worker schema's name; ``interval``, for how long an answer is kept; ``most_tasks`` (1 to
    1000), of how many tasks with ready jobs, and of how many forwarded ones, there are figures, the oldest first;
    ``alone``, for the one that reads whoever else does, as the exporter; ``transaction_pooler`` as in
    `gw_sqla.RunnerSettings`.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        schema: str = DEFAULT_SCHEMA,
        *,
        interval: timedelta = timedelta(seconds=10),
        most_tasks: int = 100,
        alone: bool = False,
        transaction_pooler: bool = False,
    ) -> None:
        if not isinstance(interval, timedelta) or not timedelta(0) <= interval <= timedelta(days=1):
            raise ConfigurationError(f"interval: must be a timedelta from 0 to a day, is {interval!r}")
        if not isinstance(most_tasks, int) or isinstance(most_tasks, bool) or not 1 <= most_tasks <= 1000:
            raise ConfigurationError(f"most_tasks: must be 1 to 1000, is {most_tasks!r}")
        self._admin = SyncAdmin(schema, limits=_LIMITS)
        self._connection = WorkerConnection(
            engine, settings="", pooled=transaction_pooler, isolation_level="READ COMMITTED"
        )
        self._interval = interval.total_seconds()
        self._most_tasks = most_tasks
        self._alone = alone
        self._is_off = transaction_pooler and not alone
        self._pooled = transaction_pooler
        self._lock: anyio.Lock | None = None
        self._read_at = float("-inf")
        self._fleet: Fleet | None = None
        self._seconds = 0.0
        self.is_up: bool | None = None
        self._is_said = False

    async def refresh(self) -> None:
        """Read anew, if the last answer is too old. Raises nothing of the database's: it is logged once."""
        if self._is_off or monotonic() - self._read_at < self._interval:
            return
        if self._lock is None:
            self._lock = anyio.Lock()
        async with self._lock:
            if monotonic() - self._read_at < self._interval:  # somebody else has, meanwhile
                return
            began = monotonic()
            try:
                with anyio.fail_after(_ANSWER_SECONDS):
                    fleet = await self._connection.run_sync(self._read)
            except (*DATABASE_FAULTS, GwSqlaError) as fault:  # a TimeoutError too
                self._fleet, self.is_up = None, False
                if not self._is_said:
                    self._is_said = True
                    log.warning("reading the figures of the queue failed, will be tried again: %s", error_text(fault))
            else:
                self._fleet, self.is_up = fleet, None if fleet is None else True
                if self._is_said:
                    self._is_said = False
                    log.warning("reading the figures of the queue works again")
            self._seconds = monotonic() - began
            self._read_at = monotonic()

    async def close(self) -> None:
        """Close the connection, so that another worker reads."""
        await self._connection.close()

    def _read(self, connection: Connection) -> Fleet | None:
        with Session(connection) as session:
            if not self._pooled:
                is_ours = session.execute(hold_reading(self._admin.schema)).scalar_one()
                if not is_ours and not self._alone:
                    return None
            return self._admin.read_fleet(session, most_tasks=self._most_tasks)

    def describe(self) -> Iterator[Metric]:
        """Return no families: those that there are depend on who reads."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Return the families of the last answer."""
        gauge = GaugeMetricFamily
        if self.is_up is not None:
            yield gauge("gw_sqla_queue_up", "Whether the queue's figures could be read.", float(self.is_up))
            yield gauge("gw_sqla_queue_reading_seconds", "How long it took to read them.", self._seconds)
        fleet = self._fleet
        if fleet is None:
            return
        states = gauge("gw_sqla_queue_jobs", "Jobs in the table by state; see _exact.", labels=["state"])
        exact = gauge("gw_sqla_queue_jobs_exact", "1, or 0 where there may be more than that.", labels=["state"])
        for state, count in fleet.states.items():
            states.add_metric([state.value], count.number)
            exact.add_metric([state.value], float(count.is_exact))
        yield states
        yield exact
        yield gauge(
            "gw_sqla_queue_oldest_ready_seconds",
            "For how long the oldest ready job has been ready; 0 where there is none.",
            fleet.oldest_ready_seconds or 0.0,
        )
        oldest = gauge("gw_sqla_task_oldest_ready_seconds", "The same by task, of those with any.", labels=["task"])
        ready = gauge("gw_sqla_task_ready_jobs", "Ready jobs by task.", labels=["task"])
        workers = gauge("gw_sqla_task_workers", "Live workers of gw_sqla's that run the task.", labels=["task"])
        for task in fleet.tasks:
            oldest.add_metric([task.identifier], task.oldest_seconds)
            ready.add_metric([task.identifier], task.ready.number)
            workers.add_metric([task.identifier], task.workers)
        lag = gauge(
            "gw_sqla_forward_lag_seconds",
            "For how long the oldest ready job of a task that is forwarded has been ready; 0 where there is none.",
            labels=["task"],
        )
        for forwarded in fleet.forwarded:
            lag.add_metric([forwarded.identifier], forwarded.oldest_seconds)
        yield oldest
        yield ready
        yield workers
        yield lag
        yield from map(
            lambda name, text, value: gauge(f"gw_sqla_{name}", text, value),
            ("workers_alive", "workers_dead", "workers_slots", "foreign_lock_owners"),
            (
                "Workers of gw_sqla's that live.",
                "Registered workers whose heartbeats have ceased.",
                "How many jobs those that live run at once.",
                "Who holds locks and is not registered, such as Graphile Worker's workers.",
            ),
            (fleet.workers, fleet.dead_workers, fleet.slots, fleet.foreign_owners),
        )
