"""JobTester: the jobs of a test, for an AsyncSession in a transaction that the test rolls back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
from sqlalchemy.util import greenlet_spawn

from gw_sqla.database.event_loops import call_asyncio, call_asyncio_shielded
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
from gw_sqla.testing.kit import Kit, ProcessTasks
from gw_sqla.testing.session_checks import async_session, connection_of
from gw_sqla.testing.unawaited import AwaitedCalls, must_be_awaited

__all__ = ["JobTester"]

R = TypeVar("R")


class JobTester(AwaitedCalls):
    """The jobs that a test adds: asks for them, and runs them, in the transaction of the test.

    Parameters: ``session``, the test's, bound to a connection in a transaction that the test rolls back (SQLAlchemy's
    "join a session into an external transaction"); ``tasks``, the application's `gw_sqla.TaskRegistry`; ``resources``,
    what handlers are given in place of the resources of these types, which are then not made; ``sinks``, by forwarded
    task, where its messages are sent (`gw_sqla.testing.RecordingSink` keeps them); a task's own sink is not used unless
    it is given here, and without one its jobs are left. Of ``settings`` the schema, the bound of payloads and what is
    said of flags hold here; ``observers`` and ``interceptors``, as a runner's; ``now``, at which time the kit's clock
    stands, with a time zone (by default it goes with the machine's); ``process_tasks``: handlers of
    ``run_in="process"`` run in a thread of the test's process, without their timeouts (``"here"``), or are refused.

    All it does is in the session's connection, and nothing of it is committed. The session itself is not used: it is
    not flushed, and holds what it has loaded (refresh what a handler has changed). Each method must be awaited before
    the next is called; at the end of ``async with JobTester(...) as jobs`` that is checked too.

    Raises JobTesterError, at once, for a session whose commits would be real and for arguments that cannot be, and
    ConfigurationError for what is no observer or interceptor. A cancellation cancels the handler that runs, rolls back
    to the savepoint of its job, and gives the job back.
    """

    def __init__(
        self,
        session: AsyncSession | async_scoped_session[Any],
        tasks: Mapping[str, Task[Any]],
        *,
        resources: Mapping[Any, Any] | None = None,
        sinks: Mapping[Any, Sink] | None = None,
        settings: RunnerSettings | None = None,
        observers: Sequence[Observer] = (),
        interceptors: Sequence[Interceptor] = (),
        now: datetime | None = None,
        process_tasks: ProcessTasks = "here",
    ) -> None:
        super().__init__()
        self._session = async_session(session)
        connection = connection_of(self._session.sync_session)
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

    @must_be_awaited
    async def added(self, task: Task[Any] | str | None = None) -> list[JobDetails]:
        """Return the jobs that the test's transaction has added or changed, and that are there, by their ids.

        ``task``: only its jobs. Completed jobs are there no more. ``state`` is that at the kit's time.
        """
        return await self._call(lambda: self._kit.added(task))

    @must_be_awaited
    async def assert_added(
        self,
        task: Task[Any] | str,
        payload: Any = None,
        *,
        count: int | None = None,
        **expected: Unpack[ExpectedJob],
    ) -> list[JobDetails]:
        """Return the test's jobs that are as expected; raises AssertionError where there is none.

        Parameters: ``payload``: of the task's type, or a dict of the fields that matter (others may be there), None for
        any; ``count``, exactly so many; of ``queue_name``, ``run_at``, ``max_attempts``, ``job_key``, ``priority`` and
        ``flags`` those that matter. A ``run_at`` may be `gw_sqla.testing.within` a duration of now.

        The message has the jobs of the task that are there, the nearest first, with what differs.
        """
        __tracebackhide__ = True
        expectation = self._kit.expectation(task, payload, dict(expected), count)
        jobs = await self._call(lambda: self._kit.added(None))
        return expectation.assert_added(jobs, count, self.now)

    @must_be_awaited
    async def refute_added(self, task: Task[Any] | str, payload: Any = None, **expected: Unpack[ExpectedJob]) -> None:
        """Raise AssertionError where the test has a job that is as described; parameters as in `assert_added`."""
        __tracebackhide__ = True
        expectation = self._kit.expectation(task, payload, dict(expected))
        jobs = await self._call(lambda: self._kit.added(None))
        expectation.refute_added(jobs, self.now)

    @must_be_awaited
    async def run(
        self,
        task: Task[Any] | str,
        payload: Any = None,
        *,
        attempt: int = 1,
        errors: Errors = "raise",
        **options: Unpack[JobOptions],
    ) -> Outcome:
        """Run the handler of a task once, as a worker does, without a job of the test's; return what became of it.

        A forwarded task's message is sent to its sink.

        Parameters: ``payload`` and options as in ``add_job``; ``attempt``, which one it is. With ``errors="raise"``
        what the handler raised is raised, with its traceback (a RetryAfter too); ``"record"`` returns the Failed.
        Observers hear of the start. Raises InvalidPayloadError for a payload that does not fit the task.
        """
        return await self._kit.run(task, payload, attempt, errors, options)

    @must_be_awaited
    async def run_jobs(
        self,
        task: Task[Any] | str | None = None,
        *,
        due: Due = "now",
        recursive: bool = True,
        limit: int = 100,
        errors: Errors = "raise",
    ) -> JobReport:
        """Run the test's jobs that are due, one after another in a worker's order, and those that they add.

        Parameters: ``task``, only its jobs; ``due``: ``"now"`` at the kit's time, ``"all"`` each job once whenever
        it is due, or a time; ``recursive=False``, only jobs that are there now; ``limit``, how many may run, after
        which jobs that add each other are an error; ``errors="raise"``: the first failure is written, as by a worker,
        and then raised as the handler raised it; ``"record"`` leaves it to the report.

        What a handler commits is a savepoint's release, what it rolls back is its own. A job that has failed waits for
        its backoff, from the kit's time on. Raises JobTesterError for a limit that is reached, ResourceError as a
        runner does, what a sink that is out of reach raises, and database errors of the kit's own statements as
        SQLAlchemy raises them.
        """
        return await self._kit.run_jobs(task, due, limit, errors, recursive=recursive)

    @must_be_awaited
    async def travel(
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
        """Move the kit's time, so that retries and scheduled jobs come due; return it. Nothing is run.

        By a timedelta, or its parts, ``travel(hours=1)``, or to a time with a time zone.
        """
        parts = {"weeks": weeks, "days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
        return self._kit.clock.travel(by, to, parts)

    def cron_jobs(self, start: datetime, end: datetime) -> list[JobSpec]:
        """Return the jobs that cron items would add from one time (included) to another (excluded), in their order.

        The items are those of the registry and of the settings. A plain call: nothing is added, the database not asked.
        """
        return self._kit.cron_jobs(start, end)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.check_awaited()

    async def _call(self, work: Callable[[], R], /, *, is_shielded: bool = False) -> R:
        return await (call_asyncio_shielded if is_shielded else call_asyncio)(greenlet_spawn, work)
