"""OutcomeWriter: writes what became of runs, all at once until one of them cannot be written; that one is put aside.

- The database, the network or a right is at fault: everything waits for the end of the outage, and is tried again.
- A row is locked by somebody's open transaction, or its queue's row: `LOCK_TIMEOUT` later the write goes around it, and
  so do the writes after it for as long as anything is aside. What was left is tried again, up to 5 seconds apart.
- A row is refused, by a constraint, a trigger of the user's, a limit: each run of that write is then written by itself.
  The one that is refused is tried again by itself. What is refused for over a minute fails in our words; where
  even that is refused, it is reported for good, and its lock is left to recovery, at the end of this worker.

A write is repeated until it is known to be done or the lock is known to be lost.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import asyncpg

from gw_sqla.database.outage import DATABASE_FAULTS, Outage, is_refusal, waited_for_lock
from gw_sqla.jobs.outcomes import Completed, CompletedByHandler, Failed, Returned
from gw_sqla.jobs.run import Run
from gw_sqla.worker.store import Store, Written

__all__ = ["UNWRITABLE", "OutcomeWriter", "Settled"]

log = logging.getLogger(__name__)

UNWRITABLE = "what became of the job cannot be written as it is"

_PATIENCE = 60.0
"""Seconds for which a refused write is tried again as it is."""

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0

_REFUSED_VALUES = ("22", "54")
"""Classes of SQLSTATE of a value that will be refused again: data exceptions, and limits such as nesting."""

_NAMES = "42"
"""That of a name or a right that is missing: of a trigger, or of everything, for a while. It is waited for."""

_Write = Callable[..., Awaitable[Written]]


@dataclass(frozen=True, slots=True)
class Settled:
    """Runs about which nothing is left to write: ``written``, or ``lost``, whose locks were another's."""

    written: list[Run] = field(default_factory=list)
    lost: list[Run] = field(default_factory=list)


@dataclass(slots=True)
class _Aside:
    """A run that waits: ``tries`` since it was refused or found locked at the time ``since``, the next when ``due``."""

    since: float
    why: str = ""
    tries: int = 0
    due: float = 0.0
    in_our_words: bool = False


class OutcomeWriter:
    """Writes the outcomes of runs for a `gw_sqla.worker.finisher.Finisher`, one call at a time."""

    def __init__(self, store: Store) -> None:
        self._writes: dict[type, _Write] = {
            Completed: store.complete,
            Failed: store.fail,
            Returned: store.give_back,
        }
        self._aside: dict[Run, _Aside] = {}
        self._outage = Outage("writing what became of jobs")

    @property
    def aside(self) -> Sequence[Run]:
        """The runs that were put aside."""
        return list(self._aside)

    @property
    def seconds_to_next(self) -> float:
        """How long until one of them is to be tried again; infinity where there is none."""
        return max(0.0, min((aside.due for aside in self._aside.values()), default=math.inf) - monotonic())

    async def write(self, runs: Sequence[Run]) -> Settled:
        """Write the outcomes of runs that have ended; those that it puts aside are in no list."""
        settled = Settled()
        kinds: dict[type, list[Run]] = {}
        for run in runs:
            kind = type(run.outcome)
            if kind in kinds:
                kinds[kind].append(run)
            else:
                kinds[kind] = [run]
        settled.written.extend(kinds.pop(CompletedByHandler, ()))
        for kind, of_kind in kinds.items():
            await self._write(self._writes[kind], of_kind, settled)
        return settled

    def drop(self, run: Run) -> None:
        """Forget a run, if it was put aside."""
        self._aside.pop(run, None)

    async def write_due(self) -> Settled:
        """Try again with those whose time has come."""
        now = monotonic()
        return await self.write([run for run, aside in self._aside.items() if aside.due <= now])

    async def _write(self, write: _Write, runs: Sequence[Run], settled: Settled) -> None:
        try:
            answer, is_certain = await self._answered(write, runs)
        except asyncpg.PostgresError as refusal:
            if len(runs) == 1:
                self._refused(runs[0], refusal, settled)
                return
            for run in runs:
                await self._write(write, [run], settled)
            return
        for run in answer.busy:
            self._put_aside(run, "another transaction has locked it")
        lost = answer.lost if is_certain else ()
        settled.lost.extend(lost)
        written = runs
        if answer.busy or lost:
            not_written = {*answer.busy, *lost}
            written = [run for run in runs if run not in not_written]
        settled.written.extend(written)
        if self._aside:
            for run in (*written, *lost):
                self._aside.pop(run, None)

    async def _answered(self, write: _Write, runs: Sequence[Run]) -> tuple[Written, bool]:
        """Repeat the write until it is answered; tell whether what it calls lost is lost.

        After a fault an earlier try may have been committed although its answer was lost: a missing job then says
        nothing. Raises the refusal of a row.
        """
        around_locks = bool(self._aside)
        while True:
            try:
                answer = await write(runs, around_locks=around_locks)
            except DATABASE_FAULTS as fault:
                if waited_for_lock(fault) and not around_locks:
                    around_locks = True
                elif isinstance(fault, asyncpg.PostgresError) and is_refusal(fault):
                    raise
                else:
                    await self._outage.wait(fault)
            else:
                return answer, not self._outage.over()

    def _put_aside(self, run: Run, why: str) -> _Aside:
        now = monotonic()
        aside = self._aside.setdefault(run, _Aside(now))
        if aside.why != why:
            is_news = why not in {other.why for other in self._aside.values()}
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

    def _refused(self, run: Run, refusal: asyncpg.PostgresError, settled: Settled) -> None:
        kind = str(refusal.sqlstate)[:2]
        aside = self._put_aside(run, f"it is refused: {_first_line(refusal)}")
        if kind == _NAMES:
            return
        is_hopeless = kind in _REFUSED_VALUES and isinstance(run.outcome, Failed)
        if not is_hopeless and monotonic() - aside.since < _PATIENCE:
            return
        if aside.in_our_words or isinstance(run.outcome, Returned):
            log.error("job %d: what became of it cannot be written: %s", run.job.id, _first_line(refusal))
            del self._aside[run]
            settled.lost.append(run)
            return
        log.error("job %d fails, as its outcome cannot be written: %s", run.job.id, _first_line(refusal))
        run.outcome = Failed(job=run.job, message=f"{UNWRITABLE}: {_first_line(refusal)}", permanently=_is_final(run))
        aside.in_our_words, aside.since, aside.due = True, monotonic(), 0.0


def _is_final(run: Run) -> bool:
    """Whether a job fails for good when its outcome is refused: one that was completed must not run again."""
    return not isinstance(run.outcome, Failed) or run.outcome.permanently


def _first_line(refusal: Any) -> str:
    return str(refusal).partition("\n")[0]
