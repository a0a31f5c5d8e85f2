"""JobRuns: the jobs of a test run in its transaction, by the claim, the executor and the outcomes of a worker.

A claim takes one job, among those that this transaction has added or changed: what others have committed, the jobs of a
test beside this one among them, is not the test's to run. Where the queue of such a job is in the hands of another
transaction, of a test beside this one, its end is waited for. What is paused when it begins to claim is left alone.

    claim -> savepoint -> executor (handler) -> release -> outcome

The savepoint is released whether the job was completed or has failed: as in production, a failed job keeps what its
handler had committed. What is left of the handler's own sessions was rolled back by them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.job_spec import JobSpec
from gw_sqla.jobs.outcomes import Completed, CompletedByHandler, Failed, Outcome, Snoozed
from gw_sqla.jobs.payload import to_json
from gw_sqla.jobs.run import Run
from gw_sqla.jobs.stored_job import JobDetails
from gw_sqla.jobs.task import Source, Task
from gw_sqla.statements import job_queries
from gw_sqla.testing.borrowed_connection import BorrowedConnection
from gw_sqla.testing.job_chains import JobChains
from gw_sqla.testing.job_report import JobReport, error_of
from gw_sqla.testing.jobs_of_test import JobsOfTest
from gw_sqla.testing.kit_clock import KitClock
from gw_sqla.testing.lent_row import add_row
from gw_sqla.testing.lent_worker import Application, LentWorker, lent_worker
from gw_sqla.worker.claim_cursor import EVERYWHERE

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
    """Of one tester; ``jobs`` are those of the test.

    Errors of the database, of resources and of sinks leave as they are; with them, and with a cancellation, the job is
    undone and given back.
    """

    def __init__(
        self,
        lent: BorrowedConnection,
        jobs: JobsOfTest,
        application: Application,
        clock: KitClock,
    ) -> None:
        self._lent = lent
        self._jobs = jobs
        self._application = application
        self._settings = application.settings
        self._clock = clock
        self._pool_id = f"pool-{secrets.token_hex(9)}"

    async def run(self, task: Task[Any], spec: JobSpec, attempt: int, errors: Errors) -> Outcome:
        """Run the task's handler once, for a job that has no row, or none but for this."""
        async with self._worker(self._clock.now) as worker:
            await worker.prepare(task)
            await self._lent.begin_job()
            try:
                run = await self._run_of(worker, task, spec, attempt)
                outcome = await worker.execute(run)
            except BaseException:
                await self._lent.undo_job()
                raise
            if not await self._lent.end_job():
                outcome = _aborted(outcome)
            elif run.job.id and not isinstance(outcome, CompletedByHandler):
                await worker.outcomes.complete([run])  # its row was lent for this
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
        is_begun = False
        chains = JobChains()
        async with self._worker(until) as worker:
            while True:
                jobs = await self._jobs.read()
                chains.note(jobs)
                if only is None and not recursive:
                    only = {job.id for job in jobs}
                left_out = begun if each_once else ()
                due = [
                    job
                    for job in jobs
                    if _is_due(job, until()) and job.id not in left_out and (only is None or job.id in only)
                ]
                if due and not is_begun:
                    is_begun = True
                    if self._jobs.are_some_paused:
                        await worker.pauses.look()
                        tasks = worker.pauses.open_tasks(list(tasks))
                wanted = [job for job in due if job.task_identifier in tasks]
                run = await self._claimed(worker, wanted) if wanted else None
                if run is None:
                    return JobReport(done, due)
                if len(done) == limit:
                    await worker.give_back(run)
                    raise chains.too_many(run.job.id, limit)
                begun.add(run.job.id)
                outcome = await self._run_claimed(worker, run)
                chains.ran(run.job.id)
                done.append(outcome)
                if isinstance(outcome, Failed) and errors == "raise":
                    raise _with_note(outcome)

    async def _claimed(self, worker: LentWorker, wanted: Sequence[JobDetails]) -> Run | None:
        identifiers = sorted({str(job.task_identifier) for job in wanted})
        ids = [job.id for job in wanted]
        flags = self._settings.forbidden_flags
        paused = worker.pauses.queues
        runs = await worker.claims.claim(identifiers, 1, flags, EVERYWHERE, paused, among=ids)
        if not runs and (names := sorted({job.queue_name for job in wanted if job.queue_name is not None})):
            await self._lent.fetch_waiting(job_queries.lock_queues(self._settings.schema), {"names": names})
            runs = await worker.claims.claim(identifiers, 1, flags, EVERYWHERE, paused, among=ids)
        return runs[0] if runs else None

    async def _run_claimed(self, worker: LentWorker, run: Run) -> Completed | Failed | Snoozed:
        try:
            await worker.prepare(self._application.tasks[run.job.task_identifier])
        except BaseException:
            await worker.give_back(run)
            raise
        await self._lent.begin_job()
        try:
            outcome = await worker.execute(run)
        except BaseException:
            await self._lent.undo_job()
            await worker.give_back(run)
            raise
        if not await self._lent.end_job():
            outcome = _aborted(outcome)
        run.end(outcome)
        is_lost = await worker.write(run)
        assert isinstance(run.outcome, (Completed, Failed, Snoozed))
        (worker.observers.lost if is_lost else worker.observers.written)([run.outcome])
        return run.outcome

    async def _run_of(self, worker: LentWorker, task: Task[Any], spec: JobSpec, attempt: int) -> Run:
        if task.transactional or task.takes(Source.CONTEXT):
            job_id = await self._lent.use(
                lambda session: add_row(session, self._settings.schema, spec, attempt, self._settings.max_payload_size)
            )
            [run] = await worker.claims.claim([task.identifier], 1, (), EVERYWHERE, among=[job_id])
            run_at = spec.run_at or run.job.run_at
            return Run(run.job._replace(queue_name=spec.queue_name, key=spec.job_key, run_at=run_at))
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

    def _worker(self, due: Callable[[], datetime]) -> AbstractAsyncContextManager[LentWorker]:
        return lent_worker(self._lent, self._application, self._pool_id, due=due, now=self._clock.now)


def _is_due(job: JobDetails, until: datetime) -> bool:
    return job.locked_at is None and job.attempts < job.max_attempts and job.run_at <= until


def _aborted(outcome: Outcome) -> Failed:
    if isinstance(outcome, Failed) and outcome.exception is not None:
        return outcome
    return Failed(job=outcome.job, message=_ABORTED)


def _with_note(outcome: Failed) -> BaseException:
    """Return the error, to be raised as it is: with the handler's own traceback, and a note of whose it is."""
    job, error = outcome.job, error_of(outcome)
    which = f"job {job.id}" if job.id else "the handler"
    error.add_note(f"gw_sqla: {which} of task {job.task_identifier!r}, attempt {job.attempts} of {job.max_attempts}")
    return error
