"""Runner: what a program starts and stops; each run of it is a worker pool (`gw_sqla.worker.worker_pool`)."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskGroup, TaskStatus
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.crontab import CronItem
from gw_sqla.crontab.task_check import check_items
from gw_sqla.database.autocommit import connects_in_autocommit
from gw_sqla.database.event_loops import database_loop, dispose_with_loop
from gw_sqla.database.pool_size import most_connections
from gw_sqla.error_texts.error_text import only_error
from gw_sqla.errors import ConfigurationError
from gw_sqla.execution.outcome_log import CompletionLog
from gw_sqla.execution.task_registry import TaskRegistry
from gw_sqla.hooks.interceptor import Interceptor, check_interceptors
from gw_sqla.hooks.observer import Observer
from gw_sqla.hooks.observers import Observers, check_observers
from gw_sqla.jobs.task import Source, Task
from gw_sqla.schema.check import check_schema
from gw_sqla.settings import RunnerSettings
from gw_sqla.worker.failures import Failures
from gw_sqla.worker.worker_pool import RunCounts, WorkerPool

__all__ = ["Runner"]

log = logging.getLogger(__name__)


class Runner:
    """Claims and runs jobs of ``tasks`` until it is stopped. Each run is a worker pool of its own.

    Parameters: ``engine``, an AsyncEngine with the asyncpg driver, which is yours to dispose of (on trio that is done
    when the last `gw_sqla.database_loop` ends); ``tasks``, a `TaskRegistry`; ``settings``; ``observers``, told what
    happens (`gw_sqla.Observer`); ``interceptors``, which wrap the running of jobs, and see those that handlers add by
    their context, the first of them outermost (`gw_sqla.Interceptor`).

    Use it as ``await runner.run()``, as ``await task_group.start(runner.run)`` (returns when the
    worker listens), or as ``async with runner:`` (works in the background of the block, stops at its
    end). While it works it schedules the cron items of the registry and of the settings. Raises
    ConfigurationError for an engine, a registry or cron items that cannot work.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        tasks: Mapping[str, Task[Any]],
        settings: RunnerSettings | None = None,
        *,
        observers: Sequence[Observer] = (),
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        if not isinstance(engine, AsyncEngine) or engine.dialect.driver != "asyncpg":
            raise ConfigurationError("engine: must be create_async_engine('postgresql+asyncpg://...')")
        if not isinstance(tasks, Mapping):
            what = "the class" if tasks is TaskRegistry else f"a {type(tasks).__name__}"
            raise ConfigurationError(f"tasks: must be a TaskRegistry, TaskRegistry(), not {what}")
        if settings is not None and not isinstance(settings, RunnerSettings):
            raise ConfigurationError(f"settings: must be RunnerSettings(...), not a {type(settings).__name__}")
        if not tasks:
            raise ConfigurationError("tasks: the registry is empty, so the worker would never run a job")
        self._engine = engine
        self._tasks = tasks
        self._settings = settings or RunnerSettings()
        check_items(self._cron_items(), tasks)
        self._observers = check_observers(observers)
        self._interceptors = check_interceptors(interceptors)
        self._pool: WorkerPool | None = None
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

    async def run_once(self, *, raise_errors: bool = False) -> RunCounts:
        """Run what is ready, and what that makes ready, then return the counts.

        Jobs whose run_at lies ahead, retries included, stay. Cron items are left to workers that stay. Stops,
        cancellations and errors as in `run`.

        With ``raise_errors``, for tests: when all has been run and written, raise what the handler of the failed job
        raised, as it was; where several jobs failed, an ExceptionGroup. A job that failed without an exception is
        a JobFailedError.
        """
        failures = Failures()
        at_once = [failures] if raise_errors else []
        counts = await self._run(TASK_STATUS_IGNORED, at_once, with_signals=True, once=True)
        failures.raise_if_any()
        return counts

    def stop(self, *, at_once: bool = False) -> None:
        """Begin a graceful stop. Does nothing where none runs.

        Call it in the thread of the event loop that runs it: on trio not from ORM events or ``run_sync``.

        With ``at_once`` the grace period is over too, as by a second signal: running jobs are cancelled and failed.
        """
        if self._pool is not None:
            self._pool.stop.request(at_once=at_once)

    async def __aenter__(self) -> Self:
        if self._background is not None:
            raise ConfigurationError("this runner is entered already: make another Runner for a second pool")
        self._background = background = anyio.create_task_group()
        await background.__aenter__()
        try:
            await background.start(self.run)
        except BaseException as error:
            if await self._leave(type(error), error, error.__traceback__):
                raise ConfigurationError("the runner was cancelled while it started") from error
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self.stop()
        return await self._leave(kind, error, traceback)

    async def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """End the task group; an error that is the only one leaves as itself, not in a group."""
        assert self._background is not None
        try:
            return await self._background.__aexit__(kind, error, traceback)
        except BaseExceptionGroup as group:
            lone = only_error(group)
            if isinstance(lone, BaseExceptionGroup):
                raise
            if lone is error:
                return False
            raise lone from lone.__cause__
        finally:
            self._background = None

    async def _look_at_engine(self) -> None:
        """Refuse an engine that cannot give the handlers their sessions; warn of one that makes them wait."""
        with_session = [name for name, task in self._tasks.items() if task.takes(Source.SESSION)]
        if not with_session:
            return
        if await connects_in_autocommit(self._engine):
            raise ConfigurationError(
                f"engine: is in AUTOCOMMIT, so the session of task {with_session[0]!r} would have no transaction to "
                "commit or roll back: leave isolation_level='AUTOCOMMIT' out"
            )
        slots, most = self._settings.concurrency, most_connections(self._engine)
        if most is not None and most < slots:
            log.warning(
                "the engine's pool has %d connections for %d slots, so handlers that take sessions wait for each "
                "other: create_async_engine(..., pool_size=%d)",
                most,
                slots,
                slots,
            )

    def _cron_items(self) -> list[CronItem]:
        """What the registry declares, and what the settings add."""
        declared = self._tasks.cron_items if isinstance(self._tasks, TaskRegistry) else ()
        return [*declared, *self._settings.crontab]

    async def _run(
        self,
        task_status: TaskStatus[None],
        at_once: Sequence[Observer] = (),
        *,
        with_signals: bool,
        once: bool = False,
    ) -> RunCounts:
        if self._pool is not None:
            raise ConfigurationError("this runner runs already: make another Runner for a second pool")
        items = self._cron_items()
        check_items(items, self._tasks)
        if CompletionLog.is_wanted():
            at_once = [*at_once, CompletionLog()]
        observers = Observers(self._observers, at_once=at_once)
        self._pool = pool = WorkerPool(
            self._engine, self._tasks, self._settings, observers, items, self._interceptors
        )  # to be stopped
        try:
            async with database_loop():
                dispose_with_loop(self._engine)  # its pooled connections belong to the loop
                await check_schema(self._engine, schema=self._settings.schema)
                await self._look_at_engine()
                return await pool.run(task_status, with_signals=with_signals and _signals_are_free(), once=once)
        finally:
            self._pool = None


def _signals_are_free() -> bool:
    """Tell whether this thread may handle signals and the program (a web server, say) does not."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    return in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
