"""Executor: one claimed job to one outcome.

Steps: find the task, call its handler (`gw_sqla.execution.handler_call`), look at what it returned (the results of a
batch, a Snooze), see what became of a transaction that completes the job. Whatever goes wrong in them fails this one
job, with a text for people; only a cancellation of the worker leaves as an exception. An exception that looks like a
cancellation but comes from the handler itself (no scope around the job is cancelled) fails the job as well.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import anyio
import anyio.lowlevel

from gw_sqla.error_texts.error_text import error_text
from gw_sqla.errors import Snooze
from gw_sqla.execution.batch_results import batch_outcome, failed_items, snooze_limit_of_all
from gw_sqla.execution.failed_outcome import bounded_wait, failed_with, of_any_error, snoozed_for, wait_until_next
from gw_sqla.execution.handler_call import bind
from gw_sqla.execution.interception import intercepted
from gw_sqla.execution.job_context import Workplace
from gw_sqla.execution.outcome_log import OutcomeLog
from gw_sqla.execution.process_pool import ProcessPool
from gw_sqla.hooks.events import JobStarted
from gw_sqla.hooks.interceptor import SKIP, Interceptor, of_running
from gw_sqla.hooks.observers import Observers
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Completed, CompletedByHandler, Failed, Outcome, Snoozed
from gw_sqla.jobs.run import LOST, RUNNING, Run
from gw_sqla.jobs.task import Task

__all__ = ["OVERSIZED", "Executor"]

log = logging.getLogger(__name__)

OVERSIZED = (
    "payload: has more bytes than this worker's max_payload_size, and was not fetched: raise that, "
    "or store the data elsewhere and in the payload where"
)


class Executor:
    """Runs claimed jobs with the handlers of a registry. Must be made inside the event loop."""

    def __init__(
        self,
        tasks: Mapping[str, Task[Any]],
        workplace: Workplace,
        processes: ProcessPool,
        observers: Observers,
        concurrency: int,
        interceptors: Sequence[Interceptor] = (),
        *,
        outcome_log: OutcomeLog | None = None,
    ) -> None:
        threads = anyio.CapacityLimiter(concurrency)
        around = of_running(interceptors)
        self._calls = {
            identifier: (task, intercepted(task, bind(task, workplace, threads, processes), around))
            for identifier, task in tasks.items()
        }
        self._observers = observers
        self._log = outcome_log or OutcomeLog()
        self._completions = workplace.completions
        self._times_all = observers.hear_of_jobs
        self.execute = self._run_told if observers.hear_of(JobStarted) else self.run
        """How to run a run: as `run`, and where anybody hears of starts they are told."""

    def _run_told(self, run: Run) -> Awaitable[Outcome]:
        job = run.job
        if job.payload_text and job.task_identifier in self._calls:
            self._observers.tell(JobStarted(job=job, wait_seconds=run.wait_seconds))
        return self.run(run)

    async def run(self, run: Run) -> Outcome:
        """Run the handler of the run's job and return what became of it, with its times where anybody hears of jobs.

        A cancellation cancels the handler and leaves as the event loop's own exception, unless the handler's
        transaction had completed the job by then; a thread is left to itself, a process is killed.
        """
        job = run.job
        found = self._calls.get(job.task_identifier)
        if found is None or not job.payload_text:
            message = OVERSIZED if found else f"no task {job.task_identifier!r} is declared in this worker"
            not_run = run.timed(Failed(job=job, message=message))
            self._log.failed(not_run)
            return not_run
        task, call = found
        outcome: Outcome
        try:
            result = await call(run)
            if result is None and run.state is RUNNING:
                return run.completed() if self._times_all else Completed(job)
            outcome = self._of_result(task, job, result)
        except anyio.get_cancelled_exc_class() as error:
            if anyio.current_effective_deadline() == -float("inf"):
                if run.is_completed_by_handler and await self._completions.decide_soon(run):
                    return run.timed(CompletedByHandler(job))
                raise
            message = f"{type(error).__name__}: raised by the handler, nothing cancelled it"
            outcome = failed_with(task, job, message, error)
        except KeyboardInterrupt as error:
            if task.run_in != "thread":
                raise  # the user's Ctrl-C, delivered inside a handler: the worker stops
            outcome = of_any_error(task, job, error)
        except BaseException as error:
            if _is_of_cancellations(error):  # from a nursery of the handler's
                await anyio.lowlevel.checkpoint_if_cancelled()
            outcome = of_any_error(task, job, error)
        if run.state is not RUNNING:  # is lost, or has completed the job, or meant to
            outcome = await self._of_own_transaction(task, run, outcome)
        outcome = run.timed(outcome)
        if isinstance(outcome, Failed) and run.state is not LOST:
            self._log.failed(outcome)
        return outcome

    async def _of_own_transaction(self, task: Task[Any], run: Run, outcome: Outcome) -> Outcome:
        """Return what became of a job that was completed in a transaction of its handler's."""
        job = run.job
        if run.state is LOST:
            return outcome
        if not run.is_rolled_back and await self._decided_to_commit(run):
            if isinstance(outcome, Failed | Snoozed):
                log.warning(
                    "job %d (%s) %s, but its own transaction completed it before, so it stays completed: %s",
                    job.id,
                    job.task_identifier,
                    "failed" if isinstance(outcome, Failed) else "was snoozed",
                    outcome.message,
                )
            return CompletedByHandler(job)
        if isinstance(outcome, Failed | Snoozed):
            return outcome
        return failed_with(task, job, "the transaction that completed the job was rolled back")

    async def _decided_to_commit(self, run: Run) -> bool:
        """Tell what became of the transaction, in spite of a cancellation if that is soon."""
        try:
            return await self._completions.decide(run)
        except anyio.get_cancelled_exc_class():
            if not await self._completions.decide_soon(run):
                raise
        return True

    def _of_result(self, task: Task[Any], job: ClaimedJob, result: Any) -> Outcome:
        if result is SKIP:
            self._log.skipped(job)
            return Completed(job)
        if isinstance(result, Snooze):
            return snoozed_for(task, job, error_text(result), result.delay, result.limit, result)
        return self._of_batch(task, job, result) if task.batch else Completed(job)

    def _of_batch(self, task: Task[Any], job: ClaimedJob, results: Any) -> Outcome:
        error: BaseException | None = None
        failed = results
        if task.run_in != "process":
            failed = failed_items(results, len(json.loads(job.payload_text)))
            if failed:
                error = BaseExceptionGroup("items of a batch", [results[item.place] for item in failed])
        outcome = batch_outcome(job, failed)
        if not isinstance(outcome, Failed):
            return outcome
        told = outcome.retry_after
        if told is not None and (limit := snooze_limit_of_all(failed)) is not None:
            snoozed = snoozed_for(task, job, outcome.message, told, limit, error)
            otherwise = replace(snoozed.otherwise, payload_text=outcome.payload_text)
            return replace(snoozed, payload_text=outcome.payload_text, otherwise=otherwise)
        wait = wait_until_next(task, job, error) if told is None else bounded_wait(told)
        return replace(outcome, retry_after=wait, exception=error)


def _is_of_cancellations(error: BaseException) -> bool:
    """Whether it is a group of nothing but cancellations; not one whose class of the user's raises when asked."""
    try:
        if not isinstance(error, BaseExceptionGroup):
            return False
        return error.split(anyio.get_cancelled_exc_class())[1] is None
    except BaseException:
        return False
