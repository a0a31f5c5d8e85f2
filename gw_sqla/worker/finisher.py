"""Finisher: writes outcomes in batches, each as soon as the one before is done.

Idle, an outcome is written at once; under load a batch is what gathered during the last write. There
is no delay to choose. An outage of the database stops completions, then claiming (what is unwritten is bounded), and
nothing is dropped. What one row holds up holds up nothing else: `gw_sqla.worker.outcome_writer`. After some seconds
without an outcome the connection is closed until the next.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from operator import attrgetter

import anyio

from gw_sqla.hooks.observers import Observers
from gw_sqla.jobs.outcomes import Completed, CompletedByHandler, Failed, Kept, Outcome, Snoozed
from gw_sqla.jobs.run import LOST, Run
from gw_sqla.worker.known_runs import KnownRuns
from gw_sqla.worker.outcome_store import OutcomeStore
from gw_sqla.worker.outcome_writer import OutcomeWriter, Settled

__all__ = ["Finisher"]

log = logging.getLogger(__name__)

_outcome = attrgetter("outcome")

_IDLE_SECONDS = 10.0
_MOST_WAITING = 1000
"""How many runs may be put aside before no more jobs are claimed."""


class Finisher:
    """Takes runs that have ended from the slots, writes them, tells observers and ``on_written`` after the commit.

    ``on_lost`` is called when one of them has lost its lock.
    """

    def __init__(
        self,
        store: OutcomeStore,
        known: KnownRuns,
        observers: Observers,
        *,
        most_unwritten: int,
        on_written: Callable[[Sequence[Outcome]], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._most_unwritten = most_unwritten
        self._store = store
        self._writer = OutcomeWriter(store, observers)
        self._known = known
        self._observers = observers
        self._on_written = on_written
        self._on_lost = on_lost
        self._gathered: list[Run] = []
        self._wake = anyio.Event()
        self._closed = False
        self._has_written = self._may_be_connected = self._is_to_rest = False
        self._scope = anyio.CancelScope(shield=True)
        self.completed = 0
        self.failed = 0
        self.snoozed = 0
        self.failed_tasks: Counter[str] = Counter()

    @property
    def is_behind(self) -> bool:
        """Whether so many outcomes are not written yet that no more jobs should be claimed."""
        unwritten = len(self._gathered) + len(self._writer.writing)
        return unwritten >= self._most_unwritten or len(self._writer.waiting) >= _MOST_WAITING

    @property
    def runs(self) -> Collection[Run]:
        """The runs whose outcomes are not written yet."""
        return dict.fromkeys([*self._gathered, *self._writer.writing, *self._writer.waiting]).keys()

    def add(self, run: Run) -> None:
        """Take a run that has ended; its outcome is written soon, unless its lock was lost."""
        if run.state is LOST:
            self._lost([run])
            return
        if not self._gathered:
            self._wake.set()
        self._gathered.append(run)

    def written(self, runs: list[Run]) -> None:
        """Take note of runs whose outcomes were written by others (`gw_sqla.worker.held_claims`)."""
        self._settle(Settled(written=runs))

    def superseded(self, run: Run) -> None:
        """Take note that its job was claimed anew: it will not be written, but where that is under way already.

        Then the answer tells: the claim may have found what the write had just unlocked.
        """
        if run not in self._writer.writing:
            if run.has_ended:
                self._gathered = [other for other in self._gathered if other is not run]
                self._writer.drop(run)
                self._lost([run])
            run.supersede()

    def close(self, flush_timeout: float) -> None:
        """Let `run` end when all is written, or after ``flush_timeout`` seconds."""
        self._closed = True
        self._scope.deadline = anyio.current_time() + flush_timeout
        self._wake.set()

    async def run(self) -> None:
        """Write until closed. Shielded: only `close` ends it, so that no outcome is lost."""
        with self._scope:
            while True:
                if self._gathered:
                    gathered, self._gathered = self._gathered, []
                    self._has_written = self._may_be_connected = True
                    self._settle(await self._writer.write(gathered))
                if self._writer.seconds_to_next <= 0:
                    self._has_written = self._may_be_connected = True
                    self._settle(await self._writer.write_due())
                if self._gathered:
                    continue
                if self._closed and not self._writer.waiting:
                    return
                if self._is_to_rest:
                    self._is_to_rest = self._may_be_connected = False
                    await self._store.close()
                    continue
                await self._wait_for_wake(self._writer.seconds_to_next)
        log.error(
            "%d outcomes could not be written in time; their jobs stay locked until recovery: %s",
            len(self.runs),
            _ids(self.runs),
        )

    async def rest_when_idle(self) -> None:
        """Have the connection closed after some seconds without an outcome, again and again until cancelled.

        A timer of its own: one in `run` would be set for each batch.
        """
        while True:
            self._has_written = False
            await anyio.sleep(_IDLE_SECONDS)
            if self._may_be_connected and not (self._has_written or self._writer.waiting):
                self._is_to_rest = True
                self._wake.set()

    async def _wait_for_wake(self, seconds: float) -> None:
        self._wake = anyio.Event()
        if seconds == math.inf:
            await self._wake.wait()
            return
        with anyio.move_on_after(seconds):
            await self._wake.wait()

    def _settle(self, settled: Settled) -> None:
        """Count, and tell."""
        outcomes = list(map(_outcome, settled.written))
        kinds = Counter(map(type, outcomes))
        self.completed += kinds[Completed] + kinds[CompletedByHandler] + kinds[Kept]
        self.snoozed += kinds[Snoozed]
        if kinds[Failed]:
            self.failed += kinds[Failed]
            self.failed_tasks.update(outcome.job.task_identifier for outcome in outcomes if isinstance(outcome, Failed))
        self._known.forget(settled.written)
        self._observers.written(outcomes)
        if settled.lost:
            log.error("the locks of jobs %s were lost: their outcomes were not written", _ids(settled.lost))
            self._lost(settled.lost)
        if settled.given_up:
            self._known.give_up(settled.given_up)
            self._observers.lost([run.outcome for run in settled.given_up])
        if settled.doubtful:  # whoever has deleted the job has not unlocked its queue
            self._on_lost()
        self._on_written(outcomes)

    def _lost(self, runs: Sequence[Run]) -> None:
        self._known.lose(runs)
        self._observers.lost([run.outcome for run in runs])
        self._on_lost()


def _ids(runs: Collection[Run]) -> list[int]:
    return sorted(run.job.id for run in runs)[:20]
