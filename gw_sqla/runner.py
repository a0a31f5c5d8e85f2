"""Runner: one worker pool, composed of its rooms and stopped in order.

Three nested scopes: *intake* (listener, claimer) inside *working* (slots) inside *draining*
(finisher). A stop ends intake first; jobs that were claimed and not started are returned with their
attempt. The slots then have the grace period, as a deadline on the working scope; jobs that still
run are cancelled and failed, their attempt spent, as when Graphile Worker is stopped by force. Last,
the finisher writes what is left, shielded, with a deadline. A second signal ends the grace period.
"""

from __future__ import annotations

import logging
import secrets
import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskGroup, TaskStatus
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.driver import call_asyncio, database_loop, needs_loop
from gw_sqla.errors import ConfigurationError, SchemaTooNewError
from gw_sqla.execution.context import WorkerResources
from gw_sqla.execution.executor import Executor
from gw_sqla.hooks import Observer, Observers
from gw_sqla.ledger import LEDGER_ID
from gw_sqla.listener import Listener
from gw_sqla.migrations import check_schema
from gw_sqla.settings import RunnerSettings
from gw_sqla.store import Store
from gw_sqla.task import Task
from gw_sqla.worker.claimer import Claimer
from gw_sqla.worker.demand import Demand
from gw_sqla.worker.finisher import Finisher
from gw_sqla.worker.slots import Slots

__all__ = ["RunCounts", "Runner"]

log = logging.getLogger(__name__)

_STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM] + [
    getattr(signal, name) for name in ("SIGHUP", "SIGUSR2") if hasattr(signal, name)
]


@dataclass(frozen=True, slots=True)
class RunCounts:
    """How many runs of jobs ended how; a job that failed and was retried counts in both."""

    completed: int
    failed: int


class Runner:
    """Claims and runs jobs of ``tasks`` until it is stopped. Each run is a worker pool of its own.

    Parameters: ``engine``, an AsyncEngine with the asyncpg driver, which the runner does not dispose
    of; ``tasks``, a `TaskRegistry`; ``settings``; ``observers``, told what becomes of jobs.

    Use it as ``await runner.run()``, as ``await task_group.start(runner.run)`` (returns when the
    worker listens), or as ``async with runner:`` (works in the background of the block, stops at its
    end). Raises ConfigurationError for an engine or registry that cannot work.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        tasks: Mapping[str, Task[Any]],
        settings: RunnerSettings | None = None,
        *,
        observers: Sequence[Observer] = (),
    ) -> None:
        if not isinstance(engine, AsyncEngine) or engine.dialect.driver != "asyncpg":
            raise ConfigurationError("engine: must be create_async_engine('postgresql+asyncpg://...')")
        if not tasks:
            raise ConfigurationError("tasks: the registry is empty, so the worker would never run a job")
        self._engine = engine
        self._tasks = tasks
        self._settings = settings or RunnerSettings()
        self._observers = Observers(observers)
        self._pool: _Pool | None = None
        self._background: TaskGroup | None = None

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Work until stopped.

        Called directly in the main thread of a program that has no SIGTERM handler of its own, it
        stops on SIGINT, SIGTERM, SIGHUP and SIGUSR2 (a second signal ends the grace period). Started
        by ``task_group.start`` or ``async with``, it leaves signals to the program. `stop` ends it too.
        A cancellation cancels the running jobs at once, fails them with their attempt spent, returns
        the unstarted ones and writes that before it leaves.

        Raises SchemaError or AccessError when the schema cannot be used, database errors when the
        database cannot be reached at the start; later faults are waited out. Raises SchemaTooNewError
        after a graceful stop when a peer begins a breaking migration.
        """
        await self._run(task_status, with_signals=task_status is TASK_STATUS_IGNORED)

    async def run_once(self) -> RunCounts:
        """Run what is ready, and what that makes ready, then return the counts.

        Jobs whose run_at lies ahead, retries included, stay. Stops, cancellations and errors as in
        `run`.
        """
        return await self._run(TASK_STATUS_IGNORED, with_signals=True, once=True)

    def stop(self) -> None:
        """Begin a graceful stop; call it in the event loop's thread. Does nothing where none runs."""
        if self._pool is not None:
            self._pool.stop_requested.set()

    async def __aenter__(self) -> Self:
        self._background = anyio.create_task_group()
        await self._background.__aenter__()
        try:
            await self._background.start(self.run)
        except BaseException as error:
            if await self._background.__aexit__(type(error), error, error.__traceback__):
                raise ConfigurationError("the runner was cancelled while it started") from error
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._background is not None
        self.stop()
        return await self._background.__aexit__(kind, error, traceback)

    async def _run(self, task_status: TaskStatus[None], *, with_signals: bool, once: bool = False) -> RunCounts:
        if self._pool is not None:
            raise ConfigurationError("this runner runs already: make another Runner for a second pool")
        own_loop = needs_loop()
        async with database_loop():
            try:
                await check_schema(self._engine, schema=self._settings.schema)
                self._pool = _Pool(self._engine, self._tasks, self._settings, self._observers)
                return await self._pool.run(task_status, with_signals=with_signals and _signals_are_free(), once=once)
            finally:
                self._pool = None
                if own_loop:  # the pooled connections belong to the loop that ends here
                    with anyio.CancelScope(shield=True):
                        await call_asyncio(self._engine.dispose)


def _signals_are_free() -> bool:
    """Tell whether this thread may handle signals and the program (a web server, say) does not."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    return in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


class _Pool:
    """One run of a Runner: its rooms, and their order of stopping."""

    def __init__(
        self, engine: AsyncEngine, tasks: Mapping[str, Task[Any]], settings: RunnerSettings, observers: Observers
    ) -> None:
        self.pool_id = f"pool-{secrets.token_hex(9)}"
        self.stop_requested = anyio.Event()
        self._engine = engine
        self._settings = settings
        self._breaking_migration = False
        self._tasks = tasks
        self._store = Store(engine, settings.schema, self.pool_id)
        resources = WorkerResources(engine, settings.schema, self.stop_requested)
        executor = Executor(tasks, resources, observers, settings.concurrency)
        self._demand = demand = Demand()
        self._finisher = Finisher(self._store, observers, demand.outcomes_written)
        self._slots = Slots(
            settings.concurrency,
            prefetch=settings.prefetch,
            prefetch_ttl=settings.prefetch_ttl,
            execute=executor.run,
            finish=self._finisher.add,
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
        )
        self._listener = Listener(
            engine,
            on_connected=self._look_for_what_was_missed,
            on_jobs=demand.jobs_may_be_due,
            on_breaking_migration=self._stop_for_migration,
            known_migration=LEDGER_ID,
        )

    async def run(self, task_status: TaskStatus[None], *, with_signals: bool, once: bool) -> RunCounts:
        """Work until stopped, or, with ``once``, until nothing is ready; then stop in order."""
        try:
            await self._store.register_tasks(self._tasks)
            await self._work(task_status, with_signals=with_signals, once=once)
        finally:
            await self._store.close()
        if self._breaking_migration:
            raise SchemaTooNewError(
                self._settings.schema, "a breaking migration of the worker schema has begun; upgrade gw_sqla"
            )
        return RunCounts(self._finisher.completed, self._finisher.failed)

    async def _work(self, task_status: TaskStatus[None], *, with_signals: bool, once: bool) -> None:
        async with anyio.create_task_group() as draining:
            draining.start_soon(self._finisher.run, name="gw_sqla finisher")
            try:
                async with anyio.create_task_group() as working:
                    self._slots.start(working)
                    async with anyio.create_task_group() as watching:
                        if with_signals:
                            watching.start_soon(self._watch_signals, working, name="gw_sqla signals")
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

    async def _take_in(self, task_status: TaskStatus[None], *, once: bool) -> None:
        """Bring jobs in until a stop is asked for."""
        async with anyio.create_task_group() as intake:
            if self._settings.prefetch:
                intake.start_soon(self._slots.return_stale, name="gw_sqla prefetch")
            if once:
                intake.start_soon(self._cancel_when_asked, intake, name="gw_sqla stop")
                await self._claimer.drain()
            else:
                intake.start_soon(self._listener.run, name="gw_sqla listener")
                intake.start_soon(self._claimer.run, name="gw_sqla claimer")
                slots = self._settings.concurrency
                log.info("worker %s runs %d tasks in %d slots", self.pool_id, len(self._tasks), slots)
                task_status.started()
                await self.stop_requested.wait()
                log.info("worker %s stops", self.pool_id)
            intake.cancel_scope.cancel()
        self.stop_requested.set()

    async def _cancel_when_asked(self, intake: TaskGroup) -> None:
        await self.stop_requested.wait()
        intake.cancel_scope.cancel()

    async def _watch_signals(self, working: TaskGroup) -> None:
        with anyio.open_signal_receiver(*_STOP_SIGNALS) as received:
            async for number in received:
                if self.stop_requested.is_set():
                    log.warning("%s again: running jobs are cancelled now", number.name)
                    working.cancel_scope.cancel()
                else:
                    log.warning("%s: stopping, running jobs have %s", number.name, self._settings.grace_period)
                    self.stop_requested.set()

    async def _look_for_what_was_missed(self) -> None:
        """Nobody heard of jobs, nor of a breaking migration, before the listener was there."""
        self._demand.jobs_may_be_due()
        try:
            await check_schema(self._engine, schema=self._settings.schema)
        except SchemaTooNewError:
            self._stop_for_migration()

    def _stop_for_migration(self) -> None:
        self._breaking_migration = True
        self.stop_requested.set()
