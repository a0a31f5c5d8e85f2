"""One job of a forwarded task, before it is sent and after: its message, and what becomes of it."""

from __future__ import annotations

from typing import Any

from gw_sqla.execution.executor import OVERSIZED
from gw_sqla.execution.failed_outcome import of_any_error
from gw_sqla.execution.forwarded_tasks import forwarding_of, make_message
from gw_sqla.execution.sink import Message
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Completed, Failed, Kept, Outcome, Returned
from gw_sqla.jobs.task import Task
from gw_sqla.worker.sink_calls import UNREACHABLE, Blamed

__all__ = ["message_or_outcome", "outcome_of"]


def message_or_outcome(task: Task[Any], job: ClaimedJob) -> Message | Outcome:
    """Return what is sent for a job; where nothing can be made, what becomes of it."""
    if not job.payload_text:
        return Failed(job=job, message=OVERSIZED)
    try:
        return make_message(task, job)
    except Exception as error:  # the user's function, or a payload that does not fit
        return of_any_error(task, job, error)


def outcome_of(task: Task[Any], job: ClaimedJob, result: object) -> Outcome:
    """Return what becomes of a job whose message has this result."""
    if result is None:
        keep = forwarding_of(task).keep
        return Completed(job) if keep is None else Kept(job=job, keep=keep)
    if isinstance(result, UNREACHABLE):
        return Returned(job)
    if isinstance(result, Blamed):
        result = result.fault
    if not isinstance(result, BaseException):
        result = TypeError(f"the results of a sink must be None or exceptions, one is a {type(result).__name__}")
    return of_any_error(task, job, result)
