"""Observers: told what became of jobs; they cannot change it.

They are called in the thread of the event loop that runs the worker, in the order given, and must return
quickly. One that raises is logged and breaks nothing. Without observers nothing is called.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from gw_sqla.error_texts.error_text import traceback_text
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Completed, Failed, Outcome, Returned, Snoozed
from gw_sqla.jobs.pause import PauseSeen

__all__ = ["Observer", "Observers"]

T = TypeVar("T")

log = logging.getLogger(__name__)


class Observer:
    """Base of observers: override what you want to hear of."""

    def job_started(self, job: ClaimedJob) -> None:
        """A slot starts the job's handler."""

    def job_completed(self, outcome: Completed) -> None:
        """The job's completion is committed."""

    def job_failed(self, outcome: Failed) -> None:
        """The job's failure is committed; ``outcome.is_final`` tells whether it will be tried again."""

    def job_returned(self, outcome: Returned) -> None:
        """The job was not started, or not forwarded in an outage, and is back in the queue."""

    def job_snoozed(self, outcome: Snoozed) -> None:
        """It is committed that the job waits, its attempt given back; ``outcome.snoozes``: how often so far."""

    def pause_seen(self, seen: PauseSeen) -> None:
        """The worker has seen that something is paused, or is no longer; it may be nothing that this worker runs."""

    def lock_lost(self, outcome: Outcome) -> None:
        """The outcome was not written: the job is another's, or nobody's, by now; or the database refuses it for good.

        In the latter case, which is logged with its reason, the job stays locked until recovery.
        """


class Observers:
    """All observers of a runner."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    @property
    def are_there(self) -> bool:
        """Whether there is anybody to be told."""
        return bool(self._observers)

    def started(self, job: ClaimedJob) -> None:
        """Tell that a job starts."""
        for observer in self._observers:
            _tell(observer.job_started, job)

    def lost(self, outcomes: Iterable[Outcome]) -> None:
        """Tell of outcomes that were not written."""
        for outcome in outcomes:
            for observer in self._observers:
                _tell(observer.lock_lost, outcome)

    def pause_seen(self, seen: PauseSeen) -> None:
        """Tell of a pause."""
        for observer in self._observers:
            _tell(observer.pause_seen, seen)

    def written(self, outcomes: Iterable[Outcome]) -> None:
        """Tell of outcomes after their commit."""
        if not self._observers:
            return
        for outcome in outcomes:
            for observer in self._observers:
                if isinstance(outcome, Completed):
                    _tell(observer.job_completed, outcome)
                elif isinstance(outcome, Failed):
                    _tell(observer.job_failed, outcome)
                elif isinstance(outcome, Snoozed):
                    _tell(observer.job_snoozed, outcome)
                else:
                    _tell(observer.job_returned, outcome)


def _tell(method: Callable[[T], None], what: T) -> None:
    try:
        method(what)
    except Exception as error:  # whatever an observer raises is the observer's own fault
        log.error("an observer failed:\n%s", traceback_text(error))
