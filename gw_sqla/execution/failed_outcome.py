"""From what a handler, or a sink, has raised to the outcome that is written: its text, and when the next attempt is."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

from gw_sqla.error_texts.error_text import class_name, error_text, storable_text, traceback_text
from gw_sqla.errors import FailPermanently, InvalidPayloadError, RetryAfter, Snooze
from gw_sqla.execution.handler_call import TaskTimeoutError
from gw_sqla.execution.process_pool import HandlerFailedError
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Failed, Snoozed
from gw_sqla.jobs.task import Task

__all__ = ["bounded_wait", "failed_with", "of_any_error", "snoozed_for", "wait_until_next"]

log = logging.getLogger(__name__)

_LONGEST_WAIT = timedelta(days=3650)


def of_any_error(task: Task[Any], job: ClaimedJob, error: BaseException) -> Failed | Snoozed:
    """Return what becomes of a job after an error, whatever the error's class does when it is looked at."""
    try:
        return _of_error(task, job, error)
    except BaseException as broken:  # an exception class of the user's that cannot even be asked what it is
        message = f"{class_name(error)}: (it cannot be looked at: {class_name(broken)})"
        return Failed(job=job, message=message, exception=error)


def _of_error(task: Task[Any], job: ClaimedJob, error: BaseException) -> Failed | Snoozed:
    match error:
        case TaskTimeoutError():
            return failed_with(task, job, f"TimeoutError: {error}", error)
        case RetryAfter():
            return replace(failed_with(task, job, error_text(error), error), retry_after=bounded_wait(error.delay))
        case Snooze():
            return snoozed_for(task, job, error_text(error), error.delay, error.limit, error)
        case FailPermanently():
            return replace(failed_with(task, job, error_text(error), error), permanently=True)
        case InvalidPayloadError():
            return failed_with(task, job, storable_text(str(error)), error)
        case HandlerFailedError(snooze_limit=int(limit)):
            delay = timedelta(seconds=error.retry_after or 0)
            return snoozed_for(task, job, error.message, delay, limit, error)
        case HandlerFailedError():
            failed = failed_with(task, job, error.message, error)
            if error.retry_after is not None:
                failed = replace(failed, retry_after=bounded_wait(timedelta(seconds=error.retry_after)))
            return replace(failed, permanently=error.permanently)
        case _:
            return failed_with(task, job, error_text(error), error)


def failed_with(task: Task[Any], job: ClaimedJob, message: str, error: BaseException | None = None) -> Failed:
    """Return a failure with this text, and the task's backoff."""
    return Failed(job=job, message=message, retry_after=wait_until_next(task, job, error), exception=error)


def snoozed_for(
    task: Task[Any], job: ClaimedJob, message: str, delay: timedelta, limit: int, error: BaseException | None
) -> Snoozed:
    """Return a snooze, with the failure that is written in its place where it was once too often."""
    last = storable_text(f"{message} (not snoozed: {limit} times were enough, or the job was removed or replaced)")
    otherwise = failed_with(task, job, last, error)
    return Snoozed(job=job, delay=bounded_wait(delay), message=message, limit=limit, otherwise=otherwise)


def wait_until_next(task: Task[Any], job: ClaimedJob, error: BaseException | None) -> timedelta | None:
    """Return what the task's backoff says; None, for the contract's, where it has none or that fails."""
    if task.backoff is None:
        return None
    try:
        return bounded_wait(task.backoff(job.attempts, error))
    except Exception as broken:  # the user's function; the contract's backoff takes its place
        told = traceback_text(broken)
        log.error("the backoff of task %s failed; Graphile Worker's is used:\n%s", task.identifier, told)
        return None


def bounded_wait(wait: timedelta) -> timedelta:
    """Return the wait, between none and ten years."""
    return max(timedelta(0), min(wait, _LONGEST_WAIT))
