"""Finisher: writes outcomes in batches, each as soon as the one before is done.

Idle, an outcome is written at once; under load a batch is what gathered during the last write. There
is no delay to choose. A write is repeated until it is known to be done or the lock is known to be
lost, so an outage of the database stops completions, then claiming (the backlog is bounded), and
nothing is dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

import anyio
import asyncpg

from gw_sqla.database.outage import DATABASE_FAULTS, Outage
from gw_sqla.hooks import Observers
from gw_sqla.jobs.outcomes import Completed, CompletedByHandler, Failed, Outcome, Returned
from gw_sqla.worker.store import Store

__all__ = ["Finisher"]

log = logging.getLogger(__name__)

UNWRITABLE = "the job failed, and its outcome cannot be written as it is"

_REFUSALS = ("22", "54")
"""Classes of SQLSTATE of a value that will be refused again: data exceptions, and limits such as nesting."""


class Finisher:
    """Takes outcomes from the slots, writes them, tells observers and ``on_written`` after the commit."""

    def __init__(self, store: Store, observers: Observers, on_written: Callable[[Sequence[Outcome]], None]) -> None:
        self._store = store
        self._observers = observers
        self._on_written = on_written
        self._gathered: list[Outcome] = []
        self._writing: list[Outcome] = []
        self._wake = anyio.Event()
        self._closed = False
        self._scope = anyio.CancelScope(shield=True)
        self._outage = Outage("writing what became of jobs")
        self.completed = 0
        self.failed = 0

    @property
    def backlog(self) -> int:
        """How many outcomes are not written yet."""
        return len(self._gathered) + len(self._writing)

    @property
    def known_ids(self) -> list[int]:
        """The ids of the jobs whose outcomes are not written yet."""
        return [outcome.job.id for outcome in (*self._gathered, *self._writing)]

    def add(self, outcome: Outcome) -> None:
        """Take an outcome; it is written soon."""
        if not self._gathered:
            self._wake.set()
        self._gathered.append(outcome)

    def lost(self, outcome: Outcome) -> None:
        """Take an outcome that is not to be written: its job's lock was lost. Observers hear of it."""
        self._observers.written([outcome], {outcome.job.id})

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
                    self._writing, self._gathered = self._gathered, []
                    await self._write(self._writing)
                elif self._closed:
                    return
                else:
                    self._wake = anyio.Event()
                    await self._wake.wait()
        log.error(
            "%d outcomes could not be written in time; their jobs stay locked until recovery: %s",
            self.backlog,
            self.known_ids[:20],
        )

    async def _write(self, batch: Sequence[Outcome]) -> None:
        completed_ids = [outcome.job.id for outcome in batch if type(outcome) is Completed]
        others: Sequence[Outcome] = ()
        if len(completed_ids) < len(batch):
            others = [outcome for outcome in batch if type(outcome) is not Completed]
        failed = [outcome for outcome in others if isinstance(outcome, Failed)]
        returned_ids = [outcome.job.id for outcome in others if isinstance(outcome, Returned)]
        lost: set[int] = set()
        if completed_ids:
            lost |= await self._until_known(completed_ids, lambda: self._store.complete(completed_ids))
        if failed:
            lost |= await self._fail(failed)
        if returned_ids:
            lost |= await self._until_known(returned_ids, lambda: self._store.give_back(returned_ids))
        if lost:
            log.error("the locks of jobs %s were lost: their outcomes were not written", sorted(lost)[:20])
        self.completed += len(completed_ids) - len(lost.intersection(completed_ids))
        self.completed += sum(isinstance(outcome, CompletedByHandler) for outcome in others)
        self.failed += sum(outcome.job.id not in lost for outcome in failed)
        self._writing = []
        self._observers.written(batch, lost)
        self._on_written(batch)

    async def _fail(self, failed: Sequence[Failed]) -> set[int]:
        """Write failures; where the database refuses a value of one, each by itself and that one in our words."""
        ids = [outcome.job.id for outcome in failed]
        try:
            return await self._until_known(ids, lambda: self._store.fail(failed))
        except asyncpg.PostgresError as refusal:
            if len(failed) > 1:
                return {job_id for outcome in failed for job_id in await self._fail([outcome])}
            log.error("job %d: what it failed with cannot be written: %s", ids[0], refusal)
            plain = Failed(job=failed[0].job, message=f"{UNWRITABLE}: {refusal}", permanently=failed[0].permanently)
        return await self._until_known(ids, lambda: self._store.fail([plain]))

    async def _until_known(self, ids: Sequence[int], write: Callable[[], Awaitable[set[int]]]) -> set[int]:
        """Repeat the write until it is answered; return the ids whose locks were lost.

        After a fault an earlier try may have been committed although its answer was lost: a missing
        id then says nothing, and is not called lost. Raises what the database will never take.
        """
        while True:
            try:
                written = await write()
            except DATABASE_FAULTS as fault:
                if isinstance(fault, asyncpg.PostgresError) and str(fault.sqlstate)[:2] in _REFUSALS:
                    raise
                await self._outage.wait(fault)
            else:
                return set() if self._outage.over() else set(ids) - written
