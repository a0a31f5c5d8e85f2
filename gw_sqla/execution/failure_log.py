"""What a failed run leaves in the log: that it is tried again, and when, or, where it is not, all that is known.

A job that is tried again is a WARNING of one line; its traceback is logged at DEBUG. A job that has failed
permanently is an ERROR with the traceback, since nobody will see it otherwise. The row has the message only.
"""

from __future__ import annotations

import logging
from math import exp

from gw_sqla.error_texts.error_text import class_name, traceback_text
from gw_sqla.errors import InvalidPayloadError
from gw_sqla.execution.process_pool import HandlerFailedError
from gw_sqla.jobs.outcomes import Failed, Snoozed

__all__ = ["log_failure", "log_snooze"]

log = logging.getLogger(__name__)


def log_failure(failed: Failed) -> None:
    """Log a failure, once, where it is known what becomes of the job."""
    job = failed.job
    what = f"job {job.id} ({job.task_identifier}, attempt {job.attempts} of {job.max_attempts})"
    if failed.is_final:
        log.error("%s failed permanently: %s%s", what, failed.message, _traceback(failed.exception))
        return
    log.warning("%s failed, the next is in %s: %s", what, _duration(_seconds_to_next(failed)), failed.message)
    if failed.exception is not None and log.isEnabledFor(logging.DEBUG):
        log.debug("job %d failed:%s", job.id, _traceback(failed.exception))


def log_snooze(snoozed: Snoozed) -> None:
    """Log a snooze that was written: what a job waits for is news of its own kind, not a failure."""
    job = snoozed.job
    wait = _duration(snoozed.delay.total_seconds())
    log.info(
        "job %d (%s) is snoozed for %s, for the %d. time: %s",
        job.id,
        job.task_identifier,
        wait,
        snoozed.snoozes,
        snoozed.message,
    )


def _seconds_to_next(failed: Failed) -> float:
    if failed.retry_after is not None:
        return failed.retry_after.total_seconds()
    return exp(min(failed.job.attempts, 10))  # Graphile Worker's


def _duration(seconds: float) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _traceback(error: BaseException | None) -> str:
    try:
        match error:
            case None | InvalidPayloadError():  # no frame of it is the user's
                return ""
            case HandlerFailedError():
                return f"\n{error.traceback}" if error.traceback else ""
            case _:
                return f"\n{traceback_text(error)}"
    except BaseException as broken:  # an exception class of the user's that cannot even be asked what it is
        return f"\n(its traceback cannot be made: {class_name(broken)})"
