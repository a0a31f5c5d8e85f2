"""Executor: one claimed job to one outcome.

Steps: find the task, call its handler (`gw_sqla.execution.handler_call`), look at the results of a batch, see what
became of a transaction that completes the job. Whatever goes wrong in them fails this one job, with a text for people;
only a cancellation of the worker leaves as an exception. An exception that looks like a cancellation but comes from the
handler itself (no scope around the job is cancelled) fails the job as well.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import anyio.lowlevel

from gw_sqla.error_texts.error_text import class_name, error_text, storable_text, traceback_text
from gw_sqla.errors import FailPermanently, InvalidPayloadError, RetryAfter
from gw_sqla.execution.batch_results import batch_outcome, failed_items
from gw_sqla.execution.failure_log import log_failure
from gw_sqla.execution.handler_call import TaskTimeoutError, bind
from gw_sqla.execution.job_context import Workplace
from gw_sqla.execution.process_pool import HandlerFailedError, ProcessPool
from gw_sqla.hooks import Observers
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Completed, CompletedByHandler, Failed, Outcome
from gw_sqla.jobs.run import LOST, RUNNING, Run
from gw_sqla.jobs.task import Task

__all__ = ["OVERSIZED", "Executor"]

log = logging.getLogger(__name__)

OVERSIZED = (
    "payload: has more bytes than this worker's max_payload_size, and was not fetched: raise that, "
    "or store the data elsewhere and in the payload where"
)

_LONGEST_WAIT = timedelta(days=3650)


class Executor:
    """Runs claimed jobs with the handlers of a registry. Must be made inside the event loop."""

    def __init__(
        self,
        tasks: Mapping[str, Task[Any]],
        workplace: Workplace,
        processes: ProcessPool,
        observers: Observers,
        concurrency: int,
    ) -> None:
        threads = anyio.CapacityLimiter(concurrency)
        self._calls = {
            identifier: (task, bind(task, workplace, threads, processes), task.batch)
            for identifier, task in tasks.items()
        }
        self._observers = observers
        self._completions = workplace.completions

    async def run(self, run: Run) -> Outcome:
        """Run the handler of the run's job and return what became of it.

        A cancellation cancels the handler and leaves as the event loop's own exception, unless the handler's
        transaction had completed the job by then; a thread is left to itself, a process is killed.
        """
        job = run.job
        found = self._calls.get(job.task_identifier)
        if found is None:
            unknown = Failed(job=job, message=f"no task {job.task_identifier!r} is declared in this worker")
            log_failure(unknown)
            return unknown
        if not job.payload_text:
            oversized = Failed(job=job, message=OVERSIZED)
            log_failure(oversized)
            return oversized
        task, call, is_batch = found
        self._observers.started(job)
        outcome: Outcome
        try:
            result = await call(run)
            if not is_batch and run.state is RUNNING:
                return Completed(job)
            outcome = self._of_batch(task, job, result) if is_batch else Completed(job)
        except anyio.get_cancelled_exc_class() as error:
            if anyio.current_effective_deadline() == -float("inf"):
                if run.is_completed_by_handler and await self._completions.decide_soon(run):
                    return CompletedByHandler(job)
                raise
            message = f"{type(error).__name__}: raised by the handler, nothing cancelled it"
            outcome = _failed(task, job, message, error)
        except KeyboardInterrupt as error:
            if task.run_in != "thread":
                raise  # the user's Ctrl-C, delivered inside a handler: the worker stops
            outcome = self._of_any_error(task, job, error)
        except BaseException as error:
            if _is_of_cancellations(error):  # from a nursery of the handler's
                await anyio.lowlevel.checkpoint_if_cancelled()
            outcome = self._of_any_error(task, job, error)
        if run.state is not RUNNING:  # is lost, or has completed the job, or meant to
            outcome = await self._of_own_transaction(task, run, outcome)
        if isinstance(outcome, Failed) and run.state is not LOST:
            log_failure(outcome)
        return outcome

    async def _of_own_transaction(self, task: Task[Any], run: Run, outcome: Outcome) -> Outcome:
        """Return what became of a job that was completed in a transaction of its handler's."""
        job = run.job
        if run.state is LOST:
            return outcome
        if not run.is_rolled_back and await self._decided_to_commit(run):
            if isinstance(outcome, Failed):
                log.warning(
                    "job %d (%s) failed, but its own transaction completed it before, so it stays completed: %s",
                    job.id,
                    job.task_identifier,
                    outcome.message,
                )
            return CompletedByHandler(job)
        if isinstance(outcome, Failed):
            return outcome
        return _failed(task, job, "the transaction that completed the job was rolled back")

    async def _decided_to_commit(self, run: Run) -> bool:
        """Tell what became of the transaction, in spite of a cancellation if that is soon."""
        try:
            return await self._completions.decide(run)
        except anyio.get_cancelled_exc_class():
            if not await self._completions.decide_soon(run):
                raise
        return True

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
        wait = _wait(task, job, error) if told is None else _bounded(told)
        return replace(outcome, retry_after=wait, exception=error)

    def _of_any_error(self, task: Task[Any], job: ClaimedJob, error: BaseException) -> Failed:
        try:
            return self._of_error(task, job, error)
        except BaseException as broken:  # an exception class of the user's that cannot even be asked what it is
            message = f"{class_name(error)}: (it cannot be looked at: {class_name(broken)})"
            return Failed(job=job, message=message, exception=error)

    def _of_error(self, task: Task[Any], job: ClaimedJob, error: BaseException) -> Failed:
        match error:
            case TaskTimeoutError():
                return _failed(task, job, f"TimeoutError: {error}", error)
            case RetryAfter():
                return replace(_failed(task, job, error_text(error), error), retry_after=_bounded(error.delay))
            case FailPermanently():
                return replace(_failed(task, job, error_text(error), error), permanently=True)
            case InvalidPayloadError():
                return _failed(task, job, storable_text(str(error)), error)
            case HandlerFailedError():
                failed = _failed(task, job, error.message, error)
                if error.retry_after is not None:
                    failed = replace(failed, retry_after=_bounded(timedelta(seconds=error.retry_after)))
                return replace(failed, permanently=error.permanently)
            case _:
                return _failed(task, job, error_text(error), error)


def _is_of_cancellations(error: BaseException) -> bool:
    """Whether it is a group of nothing but cancellations; not one whose class of the user's raises when asked."""
    try:
        if not isinstance(error, BaseExceptionGroup):
            return False
        return error.split(anyio.get_cancelled_exc_class())[1] is None
    except BaseException:
        return False


def _failed(task: Task[Any], job: ClaimedJob, message: str, error: BaseException | None = None) -> Failed:
    return Failed(job=job, message=message, retry_after=_wait(task, job, error), exception=error)


def _wait(task: Task[Any], job: ClaimedJob, error: BaseException | None) -> timedelta | None:
    if task.backoff is None:
        return None
    try:
        return _bounded(task.backoff(job.attempts, error))
    except Exception as broken:  # the user's function; the contract's backoff takes its place
        told = traceback_text(broken)
        log.error("the backoff of task %s failed; Graphile Worker's is used:\n%s", task.identifier, told)
        return None


def _bounded(wait: timedelta) -> timedelta:
    return max(timedelta(0), min(wait, _LONGEST_WAIT))
