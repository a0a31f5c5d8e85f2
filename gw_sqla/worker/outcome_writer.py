"""OutcomeWriter: writes what became of runs, all at once until one of them cannot be written; that one is put aside.

- The database, the network or a right is at fault: everything waits for the end of the outage, and is tried again.
- A row is locked by somebody's open transaction, or its queue's row: a short lock_timeout later the write goes around
  it, and so do the writes after it for as long as anything is aside. What was left is tried again, up to 5 s apart.
- A row is refused, by a constraint, a trigger of the user's, a limit: each run of that write is then written by itself,
  in turns with the writes of others. The one that is refused is tried again by itself. What is refused for over a
  minute fails in our words (`gw_sqla.worker.put_aside`); where even that is refused, it is given up: reported for good,
  its lock kept for recovery, at the end of this worker.

Which of them it is, a code of PostgreSQL's does not always tell: a trigger raises what it likes, a row can be too slow
for ``statement_timeout`` or wait for a lock behind a foreign key. So after such a fault the same statement is run about
no run at all: where that works, the fault is of the rows.

A write is repeated until it is known to be done or the lock is known to be lost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from operator import attrgetter, is_not
from time import monotonic

import asyncpg

from gw_sqla.database.outage import DATABASE_FAULTS, Outage, is_answer, is_refusal, waited_for_lock
from gw_sqla.hooks.events import OutcomesWritten
from gw_sqla.hooks.observers import NOBODY, Observers
from gw_sqla.jobs.outcomes import Completed, CompletedByHandler, Failed, Kept, Returned, Snoozed
from gw_sqla.jobs.run import Run
from gw_sqla.worker.outcome_store import OutcomeStore, Unwritten
from gw_sqla.worker.put_aside import PutAside, Verdict

__all__ = ["OutcomeWriter", "Settled"]

_outcome = attrgetter("outcome")
_is_begun = partial(is_not, Returned)
"""Each write unlocks queues: what is given back comes first, so that the next claim of a queue finds the earliest."""

_Write = Callable[..., Awaitable[Unwritten]]


@dataclass(frozen=True, slots=True)
class Settled:
    """Runs about which nothing is left to write.

    ``written``; ``lost``, whose locks were another's; ``given_up``, which cannot be written. ``doubtful`` are
    those of the written whose jobs were gone: an earlier try has deleted them, whose answer was lost, or somebody else.
    """

    written: list[Run] = field(default_factory=list)
    lost: list[Run] = field(default_factory=list)
    given_up: list[Run] = field(default_factory=list)
    doubtful: list[Run] = field(default_factory=list)


class OutcomeWriter:
    """Writes the outcomes of runs for a `gw_sqla.worker.finisher.Finisher`, one call at a time.

    ``writing``: the runs that the call under way is about.
    """

    def __init__(self, store: OutcomeStore, observers: Observers = NOBODY) -> None:
        self._writes: dict[type, _Write] = {
            Completed: store.complete,
            Kept: store.complete_and_keep,
            Failed: store.fail,
            Returned: store.give_back,
            Snoozed: store.snooze,
        }
        self._aside = PutAside()
        self._alone: dict[Run, None] = {}  # to be written one by one, in this order
        self._unsure: set[Run] = set()  # of those that wait: an earlier write may have been committed unanswered
        self._outage = Outage("writing what became of jobs", observers)
        self._observers = observers
        self._tells = observers.hear_of(OutcomesWritten)
        self.writing: Sequence[Run] = ()

    @property
    def waiting(self) -> Collection[Run]:
        """The runs that were put aside, or are to be written by themselves."""
        return self._aside.keys() | self._alone.keys()

    @property
    def seconds_to_next(self) -> float:
        """How long until one of them is to be tried again; infinity where there is none."""
        return 0.0 if self._alone else self._aside.seconds_to_next

    async def write(self, runs: Sequence[Run]) -> Settled:
        """Write the outcomes of runs that have ended; those that have to wait are in no list."""
        self.writing = runs
        settled = await self._write_kinds(runs)
        self.writing = ()
        return settled

    async def _write_kinds(self, runs: Sequence[Run]) -> Settled:
        settled = Settled()
        kinds: list[type] = list(map(type, map(_outcome, runs)))
        for kind in sorted(dict.fromkeys(kinds), key=_is_begun):
            of_kind = [run for run in runs if type(run.outcome) is kind] if kinds.count(kind) != len(runs) else runs
            if kind is CompletedByHandler:
                settled.written.extend(of_kind)
            else:
                await self._write(self._writes[kind], of_kind, settled)
        return settled

    async def write_due(self) -> Settled:
        """Try again with those whose time has come: at once those that were locked, and one of the others."""
        locked, others = self._aside.due()
        self._alone |= dict.fromkeys(others)
        locked = [run for run in locked if run not in self._alone]  # refused since, as one of several
        alone = list(islice(self._alone, 1))
        self.writing = locked + alone
        settled = await self._write_kinds(locked)
        for run in alone:
            await self._write(self._writes[type(run.outcome)], [run], settled)
        self.writing = ()
        return settled

    def drop(self, run: Run) -> None:
        """Forget a run, if it waits."""
        self._aside.pop(run, None)
        self._alone.pop(run, None)
        self._unsure.discard(run)

    async def _write(self, write: _Write, runs: Sequence[Run], settled: Settled) -> None:
        try:
            answer, is_certain = await self._write_until_answered(write, runs)
        except asyncpg.PostgresError as refusal:
            if len(runs) == 1:
                self._alone.pop(runs[0], None)
                if self._aside.refused(runs[0], refusal) is Verdict.GIVEN_UP:
                    settled.given_up.append(runs[0])
            else:
                self._alone |= dict.fromkeys(runs)
            return
        self._sort(runs, answer, settled, is_certain=is_certain)

    def _sort(self, runs: Sequence[Run], answer: Unwritten, settled: Settled, *, is_certain: bool) -> None:
        """Sort the runs of a write that was answered."""
        lost: list[Run] = []
        for run in answer.lost:
            if run.may_be_committed:
                run.outcome = CompletedByHandler(run.job)
            is_known = is_certain and run not in self._unsure and not run.may_be_committed
            (lost if is_known else settled.doubtful).append(run)
        settled.lost.extend(lost)
        written = runs
        if answer.busy or lost:
            not_written = {*answer.busy, *lost}
            written = [run for run in runs if run not in not_written]
        settled.written.extend(written)
        if written:
            self._aside.others_are_written()
        if self._aside or self._alone:
            for run in (*written, *lost):
                self.drop(run)
        if not is_certain:  # an earlier try may be what has locked them
            self._unsure.update(answer.busy)
        for run in answer.busy:
            self._alone.pop(run, None)
            self._aside.locked(run)

    async def _write_until_answered(self, write: _Write, runs: Sequence[Run]) -> tuple[Unwritten, bool]:
        """Repeat the write until it is answered; tell whether what it calls lost is lost.

        After a fault an earlier try may have been committed although its answer was lost: a missing job then says
        nothing. Raises the refusal of a row.
        """
        around_locks = bool(self._aside or self._alone)
        faults = 0
        is_certain = True
        began = monotonic() if self._tells else 0.0
        while True:
            try:
                answer = await write(runs, around_locks=around_locks)
            except DATABASE_FAULTS as fault:
                if waited_for_lock(fault) and not around_locks:
                    around_locks = True
                    continue
                if isinstance(fault, asyncpg.PostgresError) and is_answer(fault):
                    came_again = faults > 0 or waited_for_lock(fault) or runs[0] in self._aside
                    if is_refusal(fault) or (came_again and await self._works_without_rows(write)):
                        if not is_certain:
                            self._unsure.update(runs)
                        raise
                else:
                    is_certain = False
                faults += 1
                await self._outage.wait(fault)
            else:
                self._outage.over()
                if self._tells and runs:
                    count = len(runs) - len(answer.lost) - len(answer.busy)
                    self._observers.tell(OutcomesWritten(count=count, seconds=monotonic() - began, repeats=faults))
                return answer, is_certain

    async def _works_without_rows(self, write: _Write) -> bool:
        try:
            await write([], around_locks=True)
        except DATABASE_FAULTS:
            return False
        self._outage.over()
        return True
