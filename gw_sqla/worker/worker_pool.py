"""WorkerPool: one run of a runner, composed of its rooms and stopped in order.

Three nested scopes: *intake* (listener, claimer, cron, recovery) inside *working* (slots) inside *draining*
(finisher, heartbeat). A stop ends intake first; jobs that were claimed and not started are returned with their
attempt. The slots then have the grace period, as a deadline on the working scope; jobs that still
run are cancelled and failed, their attempt spent, as when Graphile Worker is stopped by force. Last,
the finisher writes what is left, shielded, with a deadline. A second signal ends the grace period; a third
ends the process, for handlers that ignore their cancellation: recovery then unlocks what they had.
"""

from __future__ import annotations

import logging
import secrets
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
from anyio.abc import TaskGroup, TaskStatus
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.crontab import CronItem
from gw_sqla.crontab.clock import SystemClock
from gw_sqla.crontab.known_crontabs import KnownCrontabs
from gw_sqla.database.outage import DATABASE_FAULTS
from gw_sqla.errors import SchemaTooNewError
from gw_sqla.execution.executor import Executor
from gw_sqla.execution.job_context import Workplace
from gw_sqla.execution.loop_watchdog import watch_loop
from gw_sqla.execution.process_pool import Processes
from gw_sqla.execution.resources import open_resources
from gw_sqla.hooks import Observers
from gw_sqla.jobs.task import Task
from gw_sqla.schema.migration_ledger import LEDGER_ID
from gw_sqla.schema.migrations import check_schema
from gw_sqla.settings import RunnerSettings
from gw_sqla.worker.claim_demand import Demand
from gw_sqla.worker.claimer import Claimer
from gw_sqla.worker.cron_scheduler import CronScheduler
from gw_sqla.worker.finisher import Finisher
from gw_sqla.worker.heartbeat import Heartbeat
from gw_sqla.worker.lease import Lease
from gw_sqla.worker.listener import Listener
from gw_sqla.worker.recovery import Recovery
from gw_sqla.worker.registration import Register, worker_facts
from gw_sqla.worker.slots import Slots
from gw_sqla.worker.store import Store

__all__ = ["STOP_SIGNALS", "RunCounts", "WorkerPool"]

log = logging.getLogger(__name__)

STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM] + [
    getattr(signal, name) for name in ("SIGHUP", "SIGUSR2") if hasattr(signal, name)
]

_LOOK_AT_SCHEMA = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class RunCounts:
    """How many runs of jobs ended how; a job that failed and was retried counts in both."""

    completed: int
    failed: int


class WorkerPool:
    """One run of a Runner. Must be made inside the event loop."""

    def __init__(
        self,
        engine: AsyncEngine,
        tasks: Mapping[str, Task[Any]],
        settings: RunnerSettings,
        observers: Observers,
        cron_items: Sequence[CronItem],
    ) -> None:
        self.pool_id = f"pool-{secrets.token_hex(9)}"
        self.stop_requested = anyio.Event()
        self.grace_ended = anyio.Event()
        self._engine = engine
        self._settings = settings
        self._breaking_migration = False
        self._tasks = tasks
        self._cron_items = cron_items
        pooled = settings.transaction_pooler
        clock = _local_time if settings.use_local_time else None
        self._store = Store(engine, settings.schema, self.pool_id, pooled=pooled, clock=clock)
        register = Register(
            engine,
            settings.schema,
            self.pool_id,
            threshold=settings.heartbeat_threshold,
            metadata=worker_facts(settings.concurrency, tasks),
            pooled=pooled,
        )
        lease = Lease()
        self._workplace = Workplace(engine, settings.schema, self.pool_id, self.stop_requested)
        self._processes = Processes()
        self._make_flow(observers, lease)
        self._make_services(register, lease)

    def _make_flow(self, observers: Observers, lease: Lease) -> None:
        """The rooms that a job flows through: claimer, slots, finisher."""
        settings, tasks = self._settings, self._tasks
        executor = Executor(tasks, self._workplace, self._processes, observers, settings.concurrency)
        self._demand = demand = Demand()
        self._finisher = Finisher(self._store, observers, demand.outcomes_written)
        self._slots = Slots(
            settings.concurrency,
            prefetch=settings.prefetch,
            prefetch_ttl=settings.prefetch_ttl,
            execute=executor.run,
            finish=self._finisher.add,
            lost=self._finisher.lost,
            lease=lease,
            on_free=demand.slot_freed,
            stopping=self.stop_requested,
        )
        self._claimer = Claimer(
            self._store,
            demand,
            self._slots,
            self._finisher,
            task_identifiers=list(tasks),
            forbidden_flags=settings.forbidden_flags,
            poll_interval=settings.poll_interval,
            most_unwritten=max(100, 4 * (settings.concurrency + settings.prefetch)),
            lease=lease,
        )

    def _make_services(self, register: Register, lease: Lease) -> None:
        """What watches over the flow: heartbeat, recovery, listener."""
        settings = self._settings
        self._heartbeat = Heartbeat(
            register,
            lease,
            self._slots,
            self._finisher,
            interval=settings.heartbeat_interval,
            threshold=settings.heartbeat_threshold,
        )
        self._recovery = Recovery(
            register,
            interval=settings.sweep_interval,
            delay=settings.recovery_delay,
            on_unlocked=self._demand.jobs_may_be_due,
        )
        self._listener = Listener(
            self._engine,
            on_connected=self._look_for_what_was_missed,
            on_jobs=self._demand.jobs_may_be_due,
            on_breaking_migration=self._stop_for_migration,
            known_migration=LEDGER_ID,
        )

    async def run(self, task_status: TaskStatus[None], *, with_signals: bool, once: bool) -> RunCounts:
        """Work until stopped, or, with ``once``, until nothing is ready; then stop in order."""
        try:
            await self._store.register_tasks(self._tasks)
            async with (
                self._processes,
                open_resources(self._tasks.values()) as self._workplace.made,
                watch_loop(self._settings.blocking_threshold),
            ):
                await self._heartbeat.begin()
                await self._work(task_status, with_signals=with_signals, once=once)
        finally:
            nothing_forgotten = await self._claimer.end()
            await self._heartbeat.end(holds_nothing=nothing_forgotten and self._finisher.backlog == 0)
            await self._store.close()
        if self._breaking_migration:
            raise SchemaTooNewError(
                self._settings.schema, "a breaking migration of the worker schema has begun; upgrade gw_sqla"
            )
        return RunCounts(self._finisher.completed, self._finisher.failed)

    async def _work(self, task_status: TaskStatus[None], *, with_signals: bool, once: bool) -> None:
        async with anyio.create_task_group() as draining:
            draining.start_soon(self._drain, name="gw_sqla finisher")
            try:
                async with anyio.create_task_group() as working:
                    self._slots.start(working)
                    async with anyio.create_task_group() as watching:
                        watching.start_soon(self._cancel_jobs_when_asked, working, name="gw_sqla grace period")
                        if with_signals:
                            await watching.start(self._watch_signals, name="gw_sqla signals")
                        await self._take_in(task_status, once=once)
                        self._slots.close()
                        working.cancel_scope.deadline = (
                            anyio.current_time() + self._settings.grace_period.total_seconds()
                        )
                        await self._slots.ended.wait()
                        watching.cancel_scope.cancel()
            finally:
                self._slots.close()
                self._finisher.close(self._settings.flush_timeout.total_seconds())

    async def _drain(self) -> None:
        """Write outcomes, and beat for as long as there are any."""
        async with anyio.create_task_group() as beating:
            beating.start_soon(self._heartbeat.run, name="gw_sqla heartbeat")
            await self._finisher.run()
            beating.cancel_scope.cancel()

    async def _take_in(self, task_status: TaskStatus[None], *, once: bool) -> None:
        """Bring jobs in until a stop is asked for."""
        async with anyio.create_task_group() as intake:
            if self._settings.prefetch:
                intake.start_soon(self._slots.return_stale, name="gw_sqla prefetch")
            if once:
                intake.start_soon(self._cancel_when_asked, intake, name="gw_sqla stop")
                await self._recovery.sweep()
                intake.start_soon(self._recovery.run, name="gw_sqla recovery")
                await self._claimer.drain()
            else:
                listen = self._watch_schema if self._settings.transaction_pooler else self._listener.run
                intake.start_soon(listen, name="gw_sqla listener")
                intake.start_soon(self._claimer.run, name="gw_sqla claimer")
                intake.start_soon(self._recovery.run, name="gw_sqla recovery")
                if self._cron_items:
                    intake.start_soon(self._cron().run, name="gw_sqla cron")
                slots = self._settings.concurrency
                log.info("worker %s runs %d tasks in %d slots", self.pool_id, len(self._tasks), slots)
                task_status.started()
                await self.stop_requested.wait()
                log.info("worker %s stops", self.pool_id)
            intake.cancel_scope.cancel()
        self.stop_requested.set()

    def _cron(self) -> CronScheduler:
        known = KnownCrontabs(self._engine, self._settings.schema, pooled=self._settings.transaction_pooler)
        log.info("worker %s schedules %d cron items", self.pool_id, len(self._cron_items))
        for item in self._cron_items:
            if item.task not in self._tasks:
                log.info("cron item %s: its task %s is none of this worker's", item.identifier, item.task)
        return CronScheduler(known, self._cron_items, SystemClock(), self._settings.crontab_catch_up)

    async def _cancel_when_asked(self, intake: TaskGroup) -> None:
        await self.stop_requested.wait()
        intake.cancel_scope.cancel()

    async def _cancel_jobs_when_asked(self, working: TaskGroup) -> None:
        await self.grace_ended.wait()
        log.warning("worker %s: running jobs are cancelled now", self.pool_id)
        working.cancel_scope.cancel()

    async def _watch_signals(self, *, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(*STOP_SIGNALS) as received:
            task_status.started()
            async for number in received:
                if self.stop_requested.is_set():
                    log.warning("%s again; a third ends the process", number.name)
                    self.grace_ended.set()
                    return  # signals mean again what they meant before the worker ran
                log.warning("%s: stopping, running jobs have %s", number.name, self._settings.grace_period)
                self.stop_requested.set()

    async def _look_for_what_was_missed(self) -> None:
        """Nobody heard of jobs, nor of a breaking migration, before the listener was there."""
        self._demand.jobs_may_be_due()
        try:
            await check_schema(self._engine, schema=self._settings.schema)
        except SchemaTooNewError:
            self._stop_for_migration()

    async def _watch_schema(self) -> None:
        """Where nothing can be heard: look every now and then whether a breaking migration has begun."""
        while True:
            await anyio.sleep(_LOOK_AT_SCHEMA.total_seconds())
            try:
                await self._look_for_what_was_missed()
            except DATABASE_FAULTS as fault:  # claims meet it too, and say so
                log.debug("looking at the schema: %s", fault)

    def _stop_for_migration(self) -> None:
        self._breaking_migration = True
        self.stop_requested.set()


def _local_time() -> datetime:
    return datetime.now(UTC)
