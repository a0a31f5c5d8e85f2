"""The current job: which job the code that asks is part of, for logs.

A context variable holds where to look, the slot, and not the job: it is set once for each slot's task, so that a job
pays nothing for it. It goes where contexts go: to a sync handler's thread, to the tasks that a handler starts. One of
these that outlives its job belongs to the slot's next one, as far as this can tell.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeAlias

from gw_sqla.jobs.claimed_job import ClaimedJob

__all__ = ["CurrentJob", "JobLogFilter", "current_job", "look_for_job_by"]


@dataclass(frozen=True, slots=True)
class CurrentJob:
    """What a log line says of the job that it comes from; the names are those of the lines' extra fields."""

    job_id: int
    task_identifier: str
    queue_name: str | None
    attempt: int

    @classmethod
    def of(cls, job: ClaimedJob) -> CurrentJob:
        """Return what is to be said of a job."""
        return cls(job.id, job.task_identifier, job.queue_name, job.attempts)


_FIELDS = ("job_id", "task_identifier", "queue_name", "attempt")


def current_job() -> CurrentJob | None:
    """Return the job whose handler, or interceptor, calls this, directly or not; None where none does.

    Known in the event loop, in a sync handler's thread and in its process.
    """
    look = _look.get()
    return None if look is None else look()


Look: TypeAlias = Callable[[], CurrentJob | None]
_look: ContextVar[Look | None] = ContextVar("gw_sqla_current_job", default=None)


def look_for_job_by(look: Look) -> None:
    """Let `current_job` call this, in this context and those that are copied from it."""
    _look.set(look)


class JobLogFilter(logging.Filter):
    """Adds the current job to log lines: ``job_id``, ``task_identifier``, ``queue_name`` and ``attempt``.

    They are None where no job runs, so that a format may name them: ``%(job_id)s``. Add it to a *handler*: a logger's
    filters do not see what loggers below it say. What a line has already (``ctx.logger``'s, those of outcomes) it
    keeps. It drops no line.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields; return True."""
        if not hasattr(record, "job_id"):
            job = current_job()
            for name in _FIELDS:
                if not hasattr(record, name):
                    setattr(record, name, None if job is None else getattr(job, name))
        return True
