"""JobRuns: the jobs of a test run in its transaction, by the claim, the executor and the outcomes of a worker.

A claim takes one job, among those that this transaction has added or changed: what others have committed, the jobs of a
test beside this one among them, is not the test's to run. Where the queue of such a job is in the hands of another
transaction, of a test beside this one, its end is waited for. What is paused when it begins to claim is left alone.

    claim -> savepoint -> executor (handler) -> release -> outcome

The savepoint is released whether the job was completed or has failed: as in production, a failed job keeps what its
handler had committed. What is left of the handler's own sessions was rolled back by them.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Literal, TypeAlias

import anyio
from sqlalchemy.orm import Session

from gw_sqla.execution.current_job import CurrentJob, look_for_job_by, look_no_more
from gw_sqla.execution.executor import Executor
from gw_sqla.execution.forwarded_tasks import is_forwarded
from gw_sqla.execution.job_context import Workplace
from gw_sqla.execution.process_pool import ProcessPool
from gw_sqla.execution.resources import Resources
from gw_sqla.hooks.interceptor import Interceptor, check_interceptors
from gw_sqla.hooks.observer import Observer
from gw_sqla.hooks.observers import Observers, check_observers
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.job_spec import JobSpec
from gw_sqla.jobs.outcomes import Completed, CompletedByHandler, Failed, Outcome, Returned, Snoozed
from gw_sqla.jobs.payload import to_json
from gw_sqla.jobs.run import Run
from gw_sqla.jobs.stored_job import JobDetails
from gw_sqla.jobs.task import Resource, Source, Task
from gw_sqla.repository import JobRepository
from gw_sqla.settings import RunnerSettings
from gw_sqla.statements import job_queries
from gw_sqla.testing.borrowed_connection import BorrowedConnection
from gw_sqla.testing.job_chains import JobChains
from gw_sqla.testing.job_report import JobReport, error_of
from gw_sqla.testing.kit_clock import KitClock
from gw_sqla.testing.lent_row import add_row
from gw_sqla.worker.claim_cursor import START
from gw_sqla.worker.claim_store import ClaimStore
from gw_sqla.worker.outcome_store import OutcomeStore
from gw_sqla.worker.pauses import Pauses

__all__ = ["ANY_TIME", "Due", "Errors", "JobRuns"]

Due: TypeAlias = Literal["now", "all"] | datetime
Errors: TypeAlias = Literal["raise", "record"]

ANY_TIME = datetime(9999, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ABORTED = (
    "the handler has caught an error of the database that has aborted its transaction; nothing can be committed: put "
    "what may fail into a savepoint, session.begin_nested()"
)


class JobRuns:
    """Of one tester; ``jobs`` reads those of the test.

    Errors of the database, and of resources, leave as they are; a cancellation undoes the job.
    """

    def __init__(
        self,
        lent: BorrowedConnection,
        jobs: Callable[[Session], list[JobDetails]],
        tasks: Mapping[str, Task[Any]],
        settings: RunnerSettings,
        resources: Mapping[Resource, Any],
        observers: Sequence[Observer],
        interceptors: Sequence[Interceptor],
        clock: KitClock,
    ) -> None:
        self._lent = lent
        self._jobs = jobs
        self._tasks = tasks
        self._settings = settings
        self._given = resources
        self._observers = check_observers(observers)
        self._interceptors = check_interceptors(interceptors)
        self._clock = clock
        self._pool_id = f"pool-{secrets.token_hex(9)}"

    async def run(self, task: Task[Any], spec: JobSpec, attempt: int, errors: Errors) -> Outcome:
        """Run the task's handler once, for a job that has no row, or none but for this."""
        async with self._work(self._clock.now) as work:
            await work.resources.make(task.arguments)
            await self._lent.begin_job()
            async with self._undone_if_left():
                run = await self._run_of(work, task, spec, attempt)
                outcome = await work.execute(run)
            if not await self._lent.end_job():
                outcome = _aborted(outcome)
            elif run.job.id and not isinstance(outcome, CompletedByHandler):
                await work.outcomes.complete([run])  # its row was lent for this
        if isinstance(outcome, Failed) and errors == "raise":
            raise _with_note(outcome)
        return outcome

    async def run_jobs(
        self,
        tasks: Collection[str],
        until: Callable[[], datetime],
        limit: int,
        errors: Errors,
        *,
        recursive: bool,
        each_once: bool,
    ) -> JobReport:
        """Run the test's jobs of these tasks that are due by a time, one after another, until none is left."""
        done: list[Completed | Failed | Snoozed] = []
        begun: set[int] = set()
        only: set[int] | None = None
        chains = JobChains()
        async with self._work(until) as work:
            while True:
                jobs = await self._lent.use(self._jobs)
                chains.note(jobs)
                if only is None and not recursive:
                    only = {job.id for job in jobs}
                left_out = begun if each_once else ()
                due = [
                    job
                    for job in jobs
                    if _is_due(job, until()) and job.id not in left_out and (only is None or job.id in only)
                ]
                if due and work.pauses.is_look_due:  # once
                    await work.pauses.look()
                    tasks = work.pauses.open_tasks(list(tasks))
                wanted = [job for job in due if job.task_identifier in tasks]
                run = await self._claimed(work, wanted) if wanted else None
                if run is None:
                    return JobReport(done, due)
                if len(done) == limit:
                    await work.give_back(run)
                    raise chains.too_many(run.job.id, limit)
                begun.add(run.job.id)
                outcome = await self._run_claimed(work, run)
                chains.ran(run.job.id)
                done.append(outcome)
                if isinstance(outcome, Failed) and errors == "raise":
                    raise _with_note(outcome)

    async def _claimed(self, work: _Work, wanted: Sequence[JobDetails]) -> Run | None:
        identifiers = sorted({str(job.task_identifier) for job in wanted})
        ids = [job.id for job in wanted]
        flags = self._settings.forbidden_flags
        paused = work.pauses.queues
        runs = await work.claims.claim(identifiers, 1, flags, START, paused, among=ids)
        if not runs and (names := sorted({job.queue_name for job in wanted if job.queue_name is not None})):
            await self._lent.fetch(job_queries.lock_queues(self._settings.schema), {"names": names})
            runs = await work.claims.claim(identifiers, 1, flags, START, paused, among=ids)
        return runs[0] if runs else None

    async def _run_claimed(self, work: _Work, run: Run) -> Completed | Failed | Snoozed:
        try:
            await work.resources.make(self._tasks[run.job.task_identifier].arguments)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await work.give_back(run)
            raise
        await self._lent.begin_job()
        async with self._undone_if_left():
            outcome = await work.execute(run)
        if not await self._lent.end_job():
            outcome = _aborted(outcome)
        run.end(outcome)
        is_lost = await work.write(run)
        assert isinstance(run.outcome, (Completed, Failed, Snoozed))
        (work.observers.lost if is_lost else work.observers.written)([run.outcome])
        return run.outcome

    async def _run_of(self, work: _Work, task: Task[Any], spec: JobSpec, attempt: int) -> Run:
        if task.transactional or task.takes(Source.CONTEXT):
            job_id = await self._lent.use(
                lambda session: add_row(session, self._settings.schema, spec, attempt, self._settings.max_payload_size)
            )
            [run] = await work.claims.claim([task.identifier], 1, (), START, among=[job_id])
            return Run(run.job._replace(queue_name=spec.queue_name, key=spec.job_key))
        now = self._clock.now()
        return Run(
            ClaimedJob(
                id=0,
                task_identifier=task.identifier,
                payload_text=to_json({} if spec.payload is None else spec.payload),
                queue_name=spec.queue_name,
                priority=spec.priority or 0,
                run_at=spec.run_at or now,
                attempts=attempt,
                max_attempts=spec.max_attempts or 25,
                key=spec.job_key,
                flags_text=to_json(dict.fromkeys(spec.flags, True)) if spec.flags else None,
                locked_us=int((now - _EPOCH).total_seconds() * 1_000_000),
                queue_id=None,
            )
        )

    @asynccontextmanager
    async def _work(self, until: Callable[[], datetime]) -> AsyncIterator[_Work]:
        settings = self._settings
        repository = JobRepository(
            settings.schema, max_payload_size=settings.max_payload_size, interceptors=self._interceptors
        )
        observers = Observers(self._observers)
        workplace = Workplace(self._lent.sessions, repository, self._pool_id, anyio.Event())
        claims = ClaimStore(
            self._lent,
            settings.schema,
            self._pool_id,
            clock=until,
            max_payload_size=settings.max_payload_size,
            leaves_oversized=settings.oversized_jobs == "leave",
            accepted_flags=settings.accepted_flags,
            flag_allowlist=settings.flag_allowlist,
        )
        outcomes = OutcomeStore(self._lent, settings.schema, self._pool_id, claims, clock=self._clock.now)
        tasks = {name: _in_this_process(task) for name, task in self._tasks.items() if not is_forwarded(task)}
        executor = Executor(tasks, workplace, ProcessPool(), observers, 1, self._interceptors)
        async with observers.delivering(), Resources(self._given) as resources:
            workplace.resources = resources.made
            pauses = Pauses(claims, observers, interval=math.inf)
            yield _Work(claims, outcomes, executor, resources, pauses, observers)

    @asynccontextmanager
    async def _undone_if_left(self) -> AsyncIterator[None]:
        """Roll back to the job's savepoint where the block is left by what is no outcome: a cancellation, Ctrl-C."""
        try:
            yield
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._lent.undo_job()
            raise


class _Work:
    """The parts of a worker, for one call of the tester."""

    def __init__(
        self,
        claims: ClaimStore,
        outcomes: OutcomeStore,
        executor: Executor,
        resources: Resources,
        pauses: Pauses,
        observers: Observers,
    ) -> None:
        self.claims = claims
        self.observers = observers
        self.pauses = pauses
        self.outcomes = outcomes
        self.resources = resources
        self._executor = executor

    async def execute(self, run: Run) -> Outcome:
        """Run the handler."""
        now = monotonic()
        run.begin(now, now)
        looking = look_for_job_by(lambda: CurrentJob.of(run.job))
        try:
            return run.timed(await self._executor.execute(run))
        finally:
            look_no_more(looking)

    async def write(self, run: Run) -> bool:
        """Write what became of it; return whether its lock was lost: the handler has removed the job, perhaps."""
        match run.outcome:
            case CompletedByHandler():
                return False
            case Failed():
                unwritten = await self.outcomes.fail([run])
            case Snoozed():
                unwritten = await self.outcomes.snooze([run])
            case _:
                unwritten = await self.outcomes.complete([run])
        return bool(unwritten.lost)

    async def give_back(self, run: Run) -> None:
        """Return a job that was not begun."""
        run.end(Returned(run.job))
        await self.outcomes.give_back([run])


def _in_this_process(task: Task[Any]) -> Task[Any]:
    return replace(task, run_in="thread") if task.run_in == "process" else task


def _is_due(job: JobDetails, until: datetime) -> bool:
    return job.locked_at is None and job.attempts < job.max_attempts and job.run_at <= until


def _aborted(outcome: Outcome) -> Failed:
    return outcome if isinstance(outcome, Failed) else Failed(job=outcome.job, message=_ABORTED)


def _with_note(outcome: Failed) -> BaseException:
    """Return the error, to be raised as it is: with the handler's own traceback, and a note of whose it is."""
    job, error = outcome.job, error_of(outcome)
    which = f"job {job.id}" if job.id else "the handler"
    error.add_note(f"gw_sqla: {which} of task {job.task_identifier!r}, attempt {job.attempts} of {job.max_attempts}")
    return error
