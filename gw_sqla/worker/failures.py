"""Failures: the errors of the jobs that failed while somebody waits for them to end."""

from __future__ import annotations

from gw_sqla.errors import JobFailedError
from gw_sqla.hooks.observer import Observer
from gw_sqla.jobs.outcomes import Failed

__all__ = ["Failures"]


class Failures(Observer):
    """Keeps what failed jobs raised, in the order in which their failures were written."""

    def __init__(self) -> None:
        self._errors: list[BaseException] = []

    def job_failed(self, event: Failed) -> None:
        """Keep the error."""
        job = event.job
        error = event.exception
        if error is None:
            error = JobFailedError(f"job {job.id} ({job.task_identifier}) failed: {event.message}")
        self._errors.append(error)

    def raise_if_any(self) -> None:
        """Raise the error, or all of them in a group."""
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            raise BaseExceptionGroup(f"{len(self._errors)} jobs failed", self._errors)
