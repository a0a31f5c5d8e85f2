"""Executor: one claimed job to one outcome.

Steps: find the task, read the payload, call the handler (async here, sync in a thread), look at the
results of a batch. Whatever goes wrong in them fails this one job, with a text for people; only a
cancellation of the worker leaves as an exception. An exception that looks like a cancellation but
comes from the handler itself (no scope around the job is cancelled) fails the job as well.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import anyio.to_thread

from gw_sqla.errors import FailPermanently, InvalidPayloadError
from gw_sqla.execution.context import JobContext, WorkerResources
from gw_sqla.hooks import Observers
from gw_sqla.job import ClaimedJob, Completed, Failed, Outcome
from gw_sqla.task import Task

__all__ = ["Executor", "error_text"]

log = logging.getLogger(__name__)

_LONGEST_ERROR = 4000
_LONGEST_WAIT = timedelta(days=3650)


def error_text(error: BaseException) -> str:
    """Return the type and message of an error as text that PostgreSQL can hold, at most 4,000 characters."""
    try:
        message = str(error)
    except Exception as broken:  # an exception class of the user's with a broken __str__
        message = f"(its text cannot be made: {type(broken).__name__})"
    causes = ""
    if isinstance(error, BaseExceptionGroup):
        causes = ": " + "; ".join(error_text(part) for part in error.exceptions[:5])
    return storable_text(f"{type(error).__name__}: {message}{causes}" if message else type(error).__name__ + causes)


def storable_text(text: str) -> str:
    """Return the text without what PostgreSQL cannot hold, cut to 4,000 characters."""
    text = text.replace("\0", "\\0").encode(errors="backslashreplace").decode()
    return text if len(text) <= _LONGEST_ERROR else text[: _LONGEST_ERROR - 4] + " ..."


class Executor:
    """Runs claimed jobs with the handlers of a registry. Must be made inside the event loop."""

    def __init__(
        self, tasks: Mapping[str, Task[Any]], resources: WorkerResources, observers: Observers, concurrency: int
    ) -> None:
        self._tasks = dict(tasks)  # a Mapping of classes costs some calls a job
        self._observers = observers
        self._resources = resources
        self._threads = anyio.CapacityLimiter(concurrency)

    async def run(self, job: ClaimedJob) -> Outcome:
        """Run the job's handler and return what became of it.

        A cancellation cancels the handler and leaves as the event loop's own exception; a thread is
        then left to itself.
        """
        task = self._tasks.get(job.task_identifier)
        if task is None:
            return Failed(job=job, message=f"no task {job.task_identifier!r} is declared in this worker")
        self._observers.started(job)
        try:
            result = await self._call(task, job)
            return _batch_outcome(task, job, result) if task.batch else Completed(job)
        except _TimedOut:
            return self._failed(task, job, f"TimeoutError: the task's timeout of {task.timeout} has passed")
        except FailPermanently as error:
            return replace(self._failed(task, job, error_text(error)), permanently=True)
        except anyio.get_cancelled_exc_class() as error:
            if anyio.current_effective_deadline() == -float("inf"):
                raise
            return self._failed(
                task, job, f"{type(error).__name__}: raised by the handler, nothing cancelled it", error
            )
        except InvalidPayloadError as error:
            return self._failed(task, job, storable_text(str(error)))
        except KeyboardInterrupt:
            raise  # the user's Ctrl-C, delivered inside a handler: the worker stops
        except BaseException as error:
            return self._failed(task, job, error_text(error), error)

    async def _call(self, task: Task[Any], job: ClaimedJob) -> Any:
        arguments: list[Any] = []
        if task.batch and not job.payload_text.lstrip().startswith("["):
            raise InvalidPayloadError("does not fit its task: a batch job's payload is a JSON array")
        if task.takes_payload:
            arguments.append(task.payload_type.load(job.payload_text))
        if task.takes_context:
            arguments.insert(0 if task.context_first else len(arguments), JobContext(job, self._resources))
        if not task.is_async:
            return await anyio.to_thread.run_sync(
                _call_in_thread, task.handler, arguments, limiter=self._threads, abandon_on_cancel=True
            )
        if task.timeout is None:
            return await task.handler(*arguments)
        with anyio.move_on_after(task.timeout.total_seconds()) as scope:
            return await task.handler(*arguments)
        assert scope.cancelled_caught
        raise _TimedOut

    def _failed(self, task: Task[Any], job: ClaimedJob, message: str, error: BaseException | None = None) -> Failed:
        log.warning("job %d (%s, attempt %d) failed: %s", job.id, job.task_identifier, job.attempts, message)
        if error is not None:
            log.debug("job %d failed", job.id, exc_info=error)
        return Failed(job=job, message=message, retry_after=_wait(task, job))


class _TimedOut(Exception):  # noqa: N818 - never seen outside this module
    """The task's own timeout, told apart from a TimeoutError of the handler."""


def _call_in_thread(handler: Any, arguments: Sequence[Any]) -> Any:
    try:
        return handler(*arguments)
    except StopIteration as error:  # cannot pass through a future
        raise RuntimeError(f"the handler raised {error_text(error)}") from error


def _wait(task: Task[Any], job: ClaimedJob) -> timedelta | None:
    if task.backoff is None:
        return None
    try:
        wait = task.backoff(job.attempts)
        return max(timedelta(0), min(wait, _LONGEST_WAIT))
    except Exception:  # the user's function; the contract's backoff takes its place
        log.exception("the backoff of task %s failed; Graphile Worker's is used", task.identifier)
        return None


def _batch_outcome(task: Task[Any], job: ClaimedJob, results: Any) -> Outcome:
    """Graphile Worker's rule: one result for each item; the failed items are the retry's payload."""
    items = json.loads(job.payload_text)
    if results is None:
        return Completed(job)
    if not isinstance(results, Sequence) or isinstance(results, str) or len(results) != len(items):
        count = len(results) if isinstance(results, Sequence) else f"a {type(results).__name__}"
        raise ValueError(f"a batch handler must return one result for each of {len(items)} items, returned {count}")
    failures = [
        (item, result) for item, result in zip(items, results, strict=True) if isinstance(result, BaseException)
    ]
    if not failures:
        return Completed(job)
    first = error_text(failures[0][1])
    message = storable_text(f"{len(failures)} of {len(items)} items failed, the first with {first}")
    log.warning("job %d (%s, attempt %d): %s", job.id, job.task_identifier, job.attempts, message)
    return Failed(
        job=job,
        message=message,
        permanently=all(isinstance(result, FailPermanently) for _, result in failures),
        retry_after=_wait(task, job),
        payload_text=json.dumps([item for item, _ in failures], allow_nan=False),
    )
