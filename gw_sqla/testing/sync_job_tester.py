"""SyncJobTester: the jobs of a test, for a Session in a transaction that the test rolls back.

Handlers are run by an event loop, async ones too: each call that runs some begins one, in the test's own thread, and
ends it. The AsyncSession that they are given works on the test's connection, whatever driver that has: its statements
do not wait in the loop, but in the driver. A Session inside ``AsyncSession.run_sync`` has a loop already, that of the
AsyncSession: handlers run there.

What the methods promise is written once, at `gw_sqla.testing.JobTester`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, ParamSpec, TypeVar, Unpack

import anyio
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.util import await_only, greenlet_spawn

from gw_sqla.database.event_loops import database_loop, on_trio
from gw_sqla.errors import JobTesterError
from gw_sqla.execution.sink import Sink
from gw_sqla.hooks.interceptor import Interceptor
from gw_sqla.hooks.observer import Observer
from gw_sqla.jobs.job_spec import JobOptions, JobSpec
from gw_sqla.jobs.outcomes import Outcome
from gw_sqla.jobs.stored_job import JobDetails
from gw_sqla.jobs.task import Task
from gw_sqla.settings import RunnerSettings
from gw_sqla.testing.expectations import ExpectedJob
from gw_sqla.testing.job_report import JobReport
from gw_sqla.testing.job_runs import Due, Errors
from gw_sqla.testing.job_tester import JobTester
from gw_sqla.testing.kit import Kit, ProcessTasks
from gw_sqla.testing.session_checks import connection_of, sync_session

__all__ = ["SyncJobTester"]

A = ParamSpec("A")
R = TypeVar("R")
K = TypeVar("K")


def _with_the_texts_of_job_tester(tester: type[K]) -> type[K]:
    for name, method in vars(tester).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            method.__doc__ = getattr(JobTester, name).__doc__
    return tester


@_with_the_texts_of_job_tester
class SyncJobTester:
    """The jobs that a test adds, for a Session (or scoped_session): `JobTester`, method by method, without await.

    The parameters are its, and ``backend``: the event loop on which handlers run, ``"asyncio"`` or ``"trio"``.
    """

    def __init__(
        self,
        session: Session | scoped_session[Any],
        tasks: Mapping[str, Task[Any]],
        *,
        resources: Mapping[Any, Any] | None = None,
        sinks: Mapping[Any, Sink] | None = None,
        settings: RunnerSettings | None = None,
        observers: Sequence[Observer] = (),
        interceptors: Sequence[Interceptor] = (),
        now: datetime | None = None,
        process_tasks: ProcessTasks = "here",
        backend: Literal["asyncio", "trio"] = "asyncio",
    ) -> None:
        if backend not in ("asyncio", "trio"):
            raise JobTesterError(f"backend: must be 'asyncio' or 'trio', is {backend!r}")
        connection = connection_of(sync_session(session))
        self._is_inside_a_loop = connection.dialect.is_async
        self._backend = backend
        self._kit = Kit(
            connection,
            self._call,
            tasks,
            resources=resources,
            sinks=sinks,
            settings=settings,
            observers=observers,
            interceptors=interceptors,
            now=now,
            process_tasks=process_tasks,
        )

    @property
    def now(self) -> datetime:
        """The kit's time, in UTC: what is due by it is run."""
        return self._kit.clock.now()

    def added(self, task: Task[Any] | str | None = None) -> list[JobDetails]:
        return self._kit.added(task)

    def assert_added(
        self,
        task: Task[Any] | str,
        payload: Any = None,
        *,
        count: int | None = None,
        **expected: Unpack[ExpectedJob],
    ) -> list[JobDetails]:
        __tracebackhide__ = True
        expectation = self._kit.expectation(task, payload, dict(expected), count)
        return expectation.assert_added(self._kit.added(None), count, self.now)

    def refute_added(self, task: Task[Any] | str, payload: Any = None, **expected: Unpack[ExpectedJob]) -> None:
        __tracebackhide__ = True
        expectation = self._kit.expectation(task, payload, dict(expected))
        expectation.refute_added(self._kit.added(None), self.now)

    def run(
        self,
        task: Task[Any] | str,
        payload: Any = None,
        *,
        attempt: int = 1,
        errors: Errors = "raise",
        **options: Unpack[JobOptions],
    ) -> Outcome:
        return self._run(self._kit.run, task, payload, attempt, errors, options)

    def run_jobs(
        self,
        task: Task[Any] | str | None = None,
        *,
        due: Due = "now",
        recursive: bool = True,
        limit: int = 100,
        errors: Errors = "raise",
    ) -> JobReport:
        return self._run(self._kit.run_jobs, task, due, limit, errors, recursive=recursive)

    def travel(
        self,
        by: timedelta | None = None,
        *,
        weeks: float = 0,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        to: datetime | None = None,
    ) -> datetime:
        parts = {"weeks": weeks, "days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
        return self._kit.clock.travel(by, to, parts)

    def cron_jobs(self, start: datetime, end: datetime) -> list[JobSpec]:
        return self._kit.cron_jobs(start, end)

    def _run(self, function: Callable[A, Coroutine[Any, Any, R]], /, *args: A.args, **kwargs: A.kwargs) -> R:
        if self._is_inside_a_loop:
            return await_only(function(*args, **kwargs))
        if _runs_a_loop():
            raise JobTesterError(
                "SyncJobTester begins an event loop for the handlers, and this thread runs one: make the test a plain "
                "def, use JobTester with an AsyncSession, or call this in a thread, by anyio.to_thread.run_sync"
            )

        async def main() -> R:
            async with database_loop():
                return await function(*args, **kwargs)

        return anyio.run(main, backend=self._backend)

    async def _call(self, work: Callable[[], R], /, *, is_shielded: bool) -> R:  # noqa: ARG002 - nothing cancels it
        return await greenlet_spawn(work) if self._is_inside_a_loop else work()


def _runs_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return on_trio()
    return True
