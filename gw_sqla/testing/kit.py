"""Kit: what the testers of both kinds of session have in common, which is all but how they wait.

What only asks is a function of a session; what runs handlers is a coroutine function, as handlers are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection

from gw_sqla.crontab import CronItem
from gw_sqla.crontab.due_minutes import agenda
from gw_sqla.errors import JobTesterError
from gw_sqla.execution.forwarded_tasks import is_forwarded
from gw_sqla.execution.sink import Sink
from gw_sqla.hooks.interceptor import Interceptor, check_interceptors
from gw_sqla.hooks.observer import Observer
from gw_sqla.hooks.observers import check_observers
from gw_sqla.jobs.job_spec import JobOptions, JobSpec
from gw_sqla.jobs.outcomes import Outcome
from gw_sqla.jobs.stored_job import JobDetails
from gw_sqla.jobs.task import Task, identifier_of
from gw_sqla.settings import RunnerSettings
from gw_sqla.testing.assertions import Expectation
from gw_sqla.testing.borrowed_connection import BorrowedConnection, CallDriver
from gw_sqla.testing.job_report import JobReport
from gw_sqla.testing.job_runs import ANY_TIME, Due, Errors, JobRuns
from gw_sqla.testing.jobs_of_test import JobsOfTest
from gw_sqla.testing.kit_clock import KitClock, check_time
from gw_sqla.testing.known_tasks import KnownTasks
from gw_sqla.testing.lent_worker import Application
from gw_sqla.types import JobState

__all__ = ["Kit", "ProcessTasks"]

ProcessTasks: TypeAlias = Literal["here", "refuse"]

_MOST_CRON_JOBS = 100_000


class Kit:
    """Of one tester."""

    def __init__(
        self,
        connection: Connection,
        call: CallDriver,
        tasks: Mapping[str, Task[Any]],
        *,
        resources: Mapping[Any, Any] | None,
        sinks: Mapping[Any, Sink] | None,
        settings: RunnerSettings | None,
        observers: Sequence[Observer],
        now: datetime | None,
        process_tasks: ProcessTasks,
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        self._known = KnownTasks(tasks)
        if process_tasks not in ("here", "refuse"):
            raise JobTesterError(f"process_tasks: must be 'here' or 'refuse', is {process_tasks!r}")
        self._tasks = tasks
        self._refuses_processes = process_tasks == "refuse"
        self._settings = settings or RunnerSettings()
        self.schema = self._settings.schema
        self.clock = KitClock(now)
        lent = BorrowedConnection(connection, call, self.schema)
        self._jobs = JobsOfTest(lent, self.schema, self.clock)
        self._sinks = self._known.sinks(sinks or {})
        application = Application(
            tasks=tasks,
            settings=self._settings,
            resources=self._known.resources(resources or {}),
            sinks=self._sinks,
            observers=check_observers(observers),
            interceptors=check_interceptors(interceptors),
        )
        self._runs = JobRuns(lent, self._jobs, application, self.clock)

    def added(self, task: Task[Any] | str | None) -> list[JobDetails]:
        """Return the jobs of the test, of one task if given."""
        if task is not None:
            self._known.check(task)
        jobs = [self._seen(job) for job in self._jobs.read_now()]
        return [job for job in jobs if task is None or job.task_identifier == identifier_of(task)]

    def expectation(
        self, task: Task[Any] | str, payload: Any, options: Mapping[str, Any], count: int | None = None
    ) -> Expectation:
        """Return what a job is to be like; raises JobTesterError for what none can be."""
        self._known.check(task)
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 0):
            raise JobTesterError(f"count: must be a number of jobs, is {count!r}")
        return Expectation(task, payload, options)

    async def run(
        self, task: Task[Any] | str, payload: Any, attempt: int, errors: Errors, options: JobOptions
    ) -> Outcome:
        """Run one handler."""
        known = self._known.find(task)
        _check_errors(errors)
        spec = known.spec(payload, **options)
        most = spec.max_attempts or 25
        if not isinstance(attempt, int) or not 1 <= attempt <= most:
            raise JobTesterError(f"attempt: must be 1 to {most}, the job's max_attempts, is {attempt!r}")
        self._check_processes([known])
        self._check_sink(known)
        return await self._runs.run(known, spec, attempt, errors)

    async def run_jobs(
        self, task: Task[Any] | str | None, due: Due, limit: int, errors: Errors, *, recursive: bool
    ) -> JobReport:
        """Run the jobs of the test."""
        tasks = list(self._tasks.values()) if task is None else [self._known.find(task)]
        _check_errors(errors)
        if due not in ("now", "all"):
            check_time("due", due)
        if not isinstance(limit, int) or limit < 1:
            raise JobTesterError(f"limit: must be a number of jobs, at least 1, is {limit!r}")
        if self._refuses_processes:
            jobs = await self._jobs.read()
            self._check_processes(filter(None, [self._tasks.get(str(job.task_identifier)) for job in jobs]))
        if task is not None:
            self._check_sink(tasks[0])
        names = [known.identifier for known in tasks if not is_forwarded(known) or known.identifier in self._sinks]
        each_once = due == "all"
        fixed = due if isinstance(due, datetime) else ANY_TIME
        until = self.clock.now if due == "now" else lambda: fixed
        return await self._runs.run_jobs(names, until, limit, errors, recursive=recursive, each_once=each_once)

    def cron_jobs(self, start: datetime, end: datetime) -> list[JobSpec]:
        """Return the jobs that the cron items would add from one time (included) to another (excluded), in order."""
        start, end = check_time("start", start).astimezone(UTC), check_time("end", end).astimezone(UTC)
        if end < start:
            raise JobTesterError(f"end: must not be before start, is {end}: start is {start}")
        items: list[CronItem] = [*getattr(self._tasks, "cron_items", ()), *self._settings.crontab]
        if not items:
            raise JobTesterError("there are no cron items: declare them by @tasks.cron, or give settings a crontab")
        found: list[JobSpec] = []
        for minute, due in agenda(items, start):
            if minute >= end:
                break
            found += [_cron_job(item, minute) for item in due]
            if len(found) > _MOST_CRON_JOBS:
                raise JobTesterError(f"these are more than {_MOST_CRON_JOBS} jobs: ask for a shorter time")
        return found

    def _seen(self, job: JobDetails) -> JobDetails:
        """Return the job with its state at the kit's time."""
        is_waiting = job.state in (JobState.SCHEDULED, JobState.RETRYING, JobState.READY)
        if not is_waiting:
            return job
        later = JobState.RETRYING if job.attempts > 0 else JobState.SCHEDULED
        return replace(job, state=later if job.run_at > self.clock.now() else JobState.READY)

    def _check_sink(self, task: Task[Any]) -> None:
        if is_forwarded(task) and task.identifier not in self._sinks:
            raise JobTesterError(
                f"task {task.identifier!r} is forwarded to a sink, which tests do not use unless they say so: give the "
                f"tester one, sinks={{{task.identifier!r}: gw_sqla.testing.RecordingSink()}}"
            )

    def _check_processes(self, tasks: Iterable[Task[Any]]) -> None:
        if not self._refuses_processes:
            return
        for task in tasks:
            if task.run_in == "process":
                raise JobTesterError(
                    f"task {task.identifier!r} runs in a process, which this tester was told to refuse: "
                    "process_tasks='here' runs its handler in a thread of the test's process"
                )


def _check_errors(errors: object) -> None:
    if errors not in ("raise", "record"):
        raise JobTesterError(f"errors: must be 'raise' or 'record', is {errors!r}")


def _cron_job(item: CronItem, minute: datetime) -> JobSpec:
    return JobSpec(
        task_identifier=item.task,
        payload=item.job_payload(minute, backfilled=False),
        queue_name=item.queue_name,
        run_at=minute,
        max_attempts=item.max_attempts,
        job_key=item.job_key,
        priority=item.priority,
        flags=item.flags,
    )
