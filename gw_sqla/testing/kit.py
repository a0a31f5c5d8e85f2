"""Kit: what the testers of both kinds of session have in common, which is all but how they wait.

What only asks is a function of a session; what runs handlers is a coroutine function, as handlers are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from gw_sqla.calls import reading
from gw_sqla.crontab import CronItem
from gw_sqla.crontab.due_minutes import agenda
from gw_sqla.errors import JobTesterError, SchemaMissingError
from gw_sqla.execution.forwarded_tasks import is_forwarded
from gw_sqla.execution.sink import Sink
from gw_sqla.hooks.interceptor import Interceptor
from gw_sqla.hooks.observer import Observer
from gw_sqla.jobs.job_spec import JobOptions, JobSpec
from gw_sqla.jobs.outcomes import Outcome
from gw_sqla.jobs.stored_job import JobDetails
from gw_sqla.jobs.task import Resource, Task, identifier_of
from gw_sqla.settings import RunnerSettings
from gw_sqla.testing.assertions import Expectation
from gw_sqla.testing.borrowed_connection import BorrowedConnection, CallDriver
from gw_sqla.testing.job_report import JobReport
from gw_sqla.testing.job_runs import ANY_TIME, Due, Errors, JobRuns
from gw_sqla.testing.kit_clock import KitClock, check_time
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
        if not isinstance(tasks, Mapping) or isinstance(tasks, type):
            raise JobTesterError(f"tasks: must be a TaskRegistry, TaskRegistry(), not {tasks!r}")
        if process_tasks not in ("here", "refuse"):
            raise JobTesterError(f"process_tasks: must be 'here' or 'refuse', is {process_tasks!r}")
        self._tasks = tasks
        self._refuses_processes = process_tasks == "refuse"
        self._settings = settings or RunnerSettings()
        self.schema = self._settings.schema
        self.clock = KitClock(now)
        self._lent = BorrowedConnection(connection, call, self.schema)
        self._sinks = {self._forwarded(task): _sink(task, sink) for task, sink in (sinks or {}).items()}
        application = Application(
            tasks=tasks,
            settings=self._settings,
            resources=_resources(tasks.values(), resources or {}),
            sinks=self._sinks,
            observers=observers,
            interceptors=interceptors,
        )
        self._runs = JobRuns(self._lent, self._jobs, application, self.clock)

    def added(self, task: Task[Any] | str | None) -> list[JobDetails]:
        """Return the jobs of the test, of one task if given."""
        if task is not None:
            self._check_task(task)
        jobs = [self._seen(job) for job in self._lent.use_now(self._jobs)]
        return [job for job in jobs if task is None or job.task_identifier == identifier_of(task)]

    def expectation(
        self, task: Task[Any] | str, payload: Any, options: Mapping[str, Any], count: int | None = None
    ) -> Expectation:
        """Return what a job is to be like; raises JobTesterError for what none can be."""
        self._check_task(task)
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 0):
            raise JobTesterError(f"count: must be a number of jobs, is {count!r}")
        return Expectation(task, payload, options)

    async def run(
        self, task: Task[Any] | str, payload: Any, attempt: int, errors: Errors, options: JobOptions
    ) -> Outcome:
        """Run one handler."""
        known = self._known(task)
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
        tasks = list(self._tasks.values()) if task is None else [self._known(task)]
        _check_errors(errors)
        if due not in ("now", "all"):
            check_time("due", due)
        if not isinstance(limit, int) or limit < 1:
            raise JobTesterError(f"limit: must be a number of jobs, at least 1, is {limit!r}")
        if self._refuses_processes:
            jobs = await self._lent.use(self._jobs)
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

    def _jobs(self, session: Session) -> list[JobDetails]:
        """Return the jobs of the test; raises SchemaMissingError, which says how tests make one.

        One of their times is that at which the transaction began: the database's now.
        """
        try:
            jobs = reading.jobs_of_transaction(session, self.schema)
        except SchemaMissingError as error:
            raise SchemaMissingError(
                self.schema,
                f"{error}; in tests: make it once, before them, by 'await gw_sqla.migrate(engine)' in a fixture of the "
                "session, or let the fixture gw_sqla_database make a database that has it",
            ) from error
        for job in jobs[:1]:
            self.clock.database_now = max(job.created_at, job.updated_at)
        return jobs

    def _seen(self, job: JobDetails) -> JobDetails:
        """Return the job with its state at the kit's time."""
        is_waiting = job.state in (JobState.SCHEDULED, JobState.RETRYING, JobState.READY)
        if not is_waiting:
            return job
        later = JobState.RETRYING if job.attempts > 0 else JobState.SCHEDULED
        return replace(job, state=later if job.run_at > self.clock.now() else JobState.READY)

    def _known(self, task: Task[Any] | str) -> Task[Any]:
        identifier = identifier_of(task)
        found = self._tasks.get(identifier)
        if found is None:
            near = get_close_matches(str(identifier), self._tasks, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(self._tasks)[:20]) or 'none'}"
            raise JobTesterError(f"task: the registry has no task {identifier!r}: {hint}")
        if isinstance(task, Task) and found is not task:
            raise JobTesterError(f"task: the registry has another task {identifier!r}: this one is another registry's")
        return found

    def _check_task(self, task: Task[Any] | str) -> None:
        """Refuse a task that is not the registry's, unless it is the name of one of another worker's."""
        if (
            isinstance(task, Task)
            or not isinstance(task, str)
            or (task not in self._tasks and get_close_matches(task, self._tasks, 1, cutoff=0.8))
        ):
            self._known(task)

    def _forwarded(self, task: Task[Any] | str) -> str:
        known = self._known(task)
        if not is_forwarded(known):
            raise JobTesterError(f"sinks: task {known.identifier!r} has a handler: only forwarded tasks have a sink")
        return known.identifier

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


def _sink(task: Task[Any] | str, sink: object) -> Sink:
    if isinstance(sink, type) or not isinstance(sink, Sink):
        raise JobTesterError(f"sinks: that of {identifier_of(task)!r} must have open, close and send, is {sink!r}")
    return sink


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


def _resources(tasks: Iterable[Task[Any]], given: Mapping[Any, Any]) -> dict[Resource, Any]:
    """Return what is given in place of the tasks' resources, by these; raises JobTesterError for what none asks for."""
    declared = {resource.type: resource for task in tasks for resource in _asked_for(task.arguments)}
    for kind in given:
        if kind not in declared:
            names = ", ".join(sorted(getattr(other, "__name__", str(other)) for other in declared)) or "nothing"
            raise JobTesterError(f"resources: no task asks for {kind!r}: they ask for {names}")
    return {declared[kind]: value for kind, value in given.items()}


def _asked_for(arguments: Iterable[Any]) -> Iterator[Resource]:
    for argument in arguments:
        if isinstance(argument.source, Resource):
            yield argument.source
            yield from _asked_for(argument.source.arguments)
