"""PutAside: runs whose outcomes wait to be tried again, as their rows are locked or refused, and for how long.

What another transaction has locked is waited for without an end. What is refused waits for a minute, then the job fails
in our words; where even that is refused for a minute, the run is given up. What the same value will be refused for ever
waits for nothing. A refusal with the code of an outage, or of a name that is missing, may be one of everything, for a
while: it is the run's own only if others were written since, and is reported otherwise.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from enum import Enum, auto
from time import monotonic

import asyncpg

from gw_sqla.database.outage import is_refusal, waited_for_lock
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.jobs.outcomes import Failed, Returned, Snoozed
from gw_sqla.jobs.run import Run

__all__ = ["UNWRITABLE", "PutAside", "Verdict"]

log = logging.getLogger(__name__)

UNWRITABLE = "what became of the job cannot be written as it is"

_LOCKED = "another transaction has locked it"
_LOCKED_BEHIND = "another transaction has locked what it depends on"

_PATIENCE = 60.0
"""Seconds for which a refused write is tried again as it is."""

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0

_REFUSED_VALUES = ("22", "54")
"""Classes of SQLSTATE of a value that will be refused again: data exceptions, and limits such as nesting."""

_NAMES = "42"
"""That of a name or a right that is missing: of a trigger, or of everything, for a while."""


class Verdict(Enum):
    """What becomes of a run whose outcome was refused."""

    WAITS = auto()
    GIVEN_UP = auto()


@dataclass(slots=True)
class _Aside:
    """``tries`` so far, the next when ``due``. ``since``: when it was first refused; to be locked does not count."""

    since: float = math.inf
    why: str = ""
    tries: int = 0
    due: float = 0.0
    in_our_words: bool = False
    is_reported: bool = False


class PutAside(dict[Run, _Aside]):
    """By run; whoever writes one takes it out."""

    def __init__(self) -> None:
        super().__init__()
        self._wrote_at = -math.inf

    @property
    def seconds_to_next(self) -> float:
        """How long until one of them is to be tried again; infinity where there is none."""
        return max(0.0, min((aside.due for aside in self.values()), default=math.inf) - monotonic())

    def due(self) -> tuple[list[Run], list[Run]]:
        """Return those whose time has come: what was locked can be written together, the others one by one."""
        now = monotonic()
        due = [(run, aside.why == _LOCKED) for run, aside in self.items() if aside.due <= now]
        return [run for run, is_locked in due if is_locked], [run for run, is_locked in due if not is_locked]

    def others_are_written(self) -> None:
        """Take note that the database writes outcomes."""
        self._wrote_at = monotonic()

    def locked(self, run: Run) -> None:
        """Put a run aside whose job or queue another transaction has locked."""
        self._put(run, _LOCKED)

    def refused(self, run: Run, refusal: asyncpg.PostgresError) -> Verdict:
        """Put a run aside that was refused by itself; or give it up."""
        if waited_for_lock(refusal):
            self._put(run, _LOCKED_BEHIND)
            return Verdict.WAITS
        reason = error_text(refusal)
        aside = self._put(run, f"it is refused: {reason}")
        aside.since = min(aside.since, monotonic())
        kind = str(refusal.sqlstate)[:2]
        is_hopeless = kind in _REFUSED_VALUES and isinstance(run.outcome, Failed)
        if not is_hopeless and monotonic() - aside.since < _PATIENCE:
            return Verdict.WAITS
        if (kind == _NAMES or not is_refusal(refusal)) and self._wrote_at < aside.since:
            if not aside.is_reported:
                log.error("job %d: what became of it cannot be written so far: %s", run.job.id, reason)
                aside.is_reported = True
            return Verdict.WAITS
        if aside.in_our_words or isinstance(run.outcome, Returned):
            log.error("job %d: what became of it cannot be written: %s", run.job.id, reason)
            del self[run]
            return Verdict.GIVEN_UP
        log.error("job %d fails, as its outcome cannot be written: %s", run.job.id, reason)
        run.outcome = Failed(job=run.job, message=f"{UNWRITABLE}: {reason}", permanently=_is_final(run))
        aside.in_our_words, aside.since, aside.due = True, monotonic(), 0.0
        return Verdict.WAITS

    def _put(self, run: Run, why: str) -> _Aside:
        now = monotonic()
        aside = self.setdefault(run, _Aside())
        if aside.why != why:
            is_news = why not in {other.why for other in self.values()}
            log.log(
                logging.WARNING if is_news else logging.DEBUG,
                "job %d (%s): its outcome waits, and is tried again: %s",
                run.job.id,
                run.job.task_identifier,
                why,
            )
            aside.why = why
        aside.due = now + min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(aside.tries, 10))
        aside.tries += 1
        return aside


def _is_final(run: Run) -> bool:
    """Whether a job fails for good when its outcome is refused: one that was completed must not run again."""
    if isinstance(run.outcome, Snoozed):
        return False
    return not isinstance(run.outcome, Failed) or run.outcome.permanently
