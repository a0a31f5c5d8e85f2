"""What outcomes leave in the log: one line each, of the logger ``gw_sqla.outcome``, the fields as ``extra`` too.

    completed                       DEBUG
    skipped, snoozed                INFO: what a job waits for is news of its own kind, not a failure
    failed, is tried again          WARNING, of one line; its traceback at DEBUG
    failed permanently              ERROR, with the traceback, which nobody would see otherwise; the row has the message

``extra``: ``outcome``, ``job_id``, ``task_identifier``, ``queue_name``, ``attempt``, ``max_attempts``, ``seconds``,
``wait_seconds``. Never the payload.

A completion is told at DEBUG: at INFO each job of a busy worker would pay for a line that nobody reads. Whether it is
told is asked once, when the worker is put together. A fault that many jobs have is not told for each of them
(`gw_sqla.error_texts.repetition`); every failure is in its row, and told to observers.
"""

from __future__ import annotations

import logging
from math import exp
from typing import Any

from gw_sqla.error_texts.error_text import class_name, traceback_text
from gw_sqla.error_texts.repetition import Repetition
from gw_sqla.errors import InvalidPayloadError
from gw_sqla.execution.process_pool import HandlerFailedError
from gw_sqla.hooks.observer import Observer
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Completed, Failed, Snoozed

__all__ = ["CompletionLog", "OutcomeLog"]

log = logging.getLogger("gw_sqla.outcome")


class OutcomeLog:
    """Of one worker."""

    def __init__(self) -> None:
        self._repetition = Repetition()

    def failed(self, failed: Failed) -> None:
        """Log a failure, once, where it is known what becomes of the job."""
        job = failed.job
        kind = "permanent failures" if failed.is_final else "failures"
        if not self._may_be_said(f"{kind} of task {job.task_identifier}"):
            return
        what = f"job {job.id} ({job.task_identifier}, attempt {job.attempts} of {job.max_attempts})"
        if failed.is_final:
            text = f"{failed.message}{_traceback(failed.exception)}"
            log.error("%s failed permanently: %s", what, text, extra=_extra("failed permanently", job, failed))
            return
        wait = _duration(_seconds_to_next(failed))
        extra = _extra("failed", job, failed)
        log.warning("%s failed, the next is in %s: %s", what, wait, failed.message, extra=extra)
        if failed.exception is not None and log.isEnabledFor(logging.DEBUG):
            log.debug("job %d failed:%s", job.id, _traceback(failed.exception), extra=extra)

    def snoozed(self, snoozed: Snoozed) -> None:
        """Log a snooze that was written."""
        job = snoozed.job
        if not self._may_be_said(f"snoozes of task {job.task_identifier}"):
            return
        log.info(
            "job %d (%s) is snoozed for %s, for the %d. time: %s",
            job.id,
            job.task_identifier,
            _duration(snoozed.delay.total_seconds()),
            snoozed.snoozes,
            snoozed.message,
            extra=_extra("snoozed", job, snoozed),
        )

    def skipped(self, job: ClaimedJob) -> None:
        """Log that an interceptor has completed a job without its handler."""
        if self._may_be_said(f"skipped jobs of task {job.task_identifier}"):
            log.info(
                "job %d (%s) is skipped by an interceptor",
                job.id,
                job.task_identifier,
                extra=_extra("skipped", job, Completed(job)),
            )

    def close(self) -> None:
        """Say what was left out so far; at the end of the worker."""
        for line in self._repetition.begin_span():
            log.warning("%s", line)

    def _may_be_said(self, kind: str) -> bool:
        if self._repetition.is_span_over:
            self.close()
        return self._repetition.may_be_said(kind)


class CompletionLog(Observer):
    """Logs what has completed; one of the worker's own observers, where anybody wants to read that."""

    @staticmethod
    def is_wanted() -> bool:
        """Tell whether the log has lines of completed jobs."""
        return log.isEnabledFor(logging.DEBUG)

    def job_completed(self, event: Completed, /) -> None:
        """Log it."""
        job = event.job
        log.debug(
            "job %d (%s, attempt %d of %d) completed in %.3g s",
            job.id,
            job.task_identifier,
            job.attempts,
            job.max_attempts,
            event.seconds,
            extra=_extra("completed", job, event),
        )


def _extra(outcome: str, job: ClaimedJob, of: Completed | Failed | Snoozed) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "job_id": job.id,
        "task_identifier": job.task_identifier,
        "queue_name": job.queue_name,
        "attempt": job.attempts,
        "max_attempts": job.max_attempts,
        "seconds": round(of.seconds, 6),
        "wait_seconds": round(of.wait_seconds, 6),
    }


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
