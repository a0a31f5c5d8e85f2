"""Hold: the jobs that one open transaction has locked, from their claim until it ends, and their runs.

What for, and what may befall it: `gw_sqla.worker.held_claims`.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection, Sequence
from itertools import repeat
from time import monotonic

import anyio
import asyncpg

from gw_sqla.database.held_transaction import HeldTransaction
from gw_sqla.database.outage import ConnectError, is_answer
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Returned
from gw_sqla.jobs.run import LOST, Run
from gw_sqla.statements import holds

__all__ = ["HeldRun", "Hold", "hold_of"]

log = logging.getLogger(__name__)


class HeldRun(Run):
    """The run of a job that ``hold`` has, or had: it is None from the moment that the run has a lease, or is lost."""

    __slots__ = ("hold",)

    def __init__(self, job: ClaimedJob, hold: Hold | None) -> None:
        super().__init__(job)
        self.hold = hold

    @property
    def needs_lock(self) -> bool:
        """Whether it must end where the lease is found to be lost: a held one has none."""
        return self.hold is None and super().needs_lock

    def lose(self) -> bool:
        """Note that the lock was lost; return whether that changes anything for this run."""
        hold, self.hold = self.hold, None
        is_lost = super().lose()
        self.hold = hold
        return is_lost


def hold_of(run: Run) -> Hold | None:
    """Return what holds the run's job; None where it has a lease, or was lost."""
    return run.hold if isinstance(run, HeldRun) else None


class Hold:
    """One of a pool's; used again and again. ``settled`` is set when the transaction has ended, and all runs are free.

    ``is_open``: runs that end now are written by it. ``key``: of its row and advisory lock, another each time.
    """

    def __init__(self, connection: HeldTransaction, schema: str, pool_id: str, seconds: float) -> None:
        self.connection = connection
        self._schema = schema
        self._pool_id = pool_id
        self._seconds = seconds
        self.key = 0
        self.runs: Sequence[HeldRun] = ()
        self.ended: list[Run] = []
        self.late: list[Run] = []  # those that end while the transaction does
        self.is_open = False
        self.ends_at = 0.0
        self._left = 0
        self.opened = anyio.Event()
        self.wake = anyio.Event()
        self.settled = anyio.Event()

    async def begin(self) -> None:
        """Begin the transaction. Shielded, as what locks jobs in it."""
        self.ends_at = monotonic() + self._seconds
        self.key = secrets.randbits(63)
        await self.connection.begin(self.key)

    def runs_of(self, jobs: Collection[ClaimedJob]) -> list[Run]:
        """Make the runs of the jobs that it has locked."""
        self.runs = list(map(HeldRun, jobs, repeat(self)))
        return list(self.runs)

    def open(self) -> None:
        """From now on its runs may begin."""
        self.ended, self.late = [], []
        self._left = len(self.runs)
        self.is_open = True
        self.wake, self.settled = anyio.Event(), anyio.Event()
        self.opened.set()

    def take(self, run: Run) -> None:
        """Take a run that has ended."""
        if not self.is_open:
            self.late.append(run)
            return
        self.ended.append(run)
        self.leave()

    def leave(self) -> None:
        """One run less is to be waited for."""
        self._left -= 1
        if not self._left:
            self.wake.set()

    async def wait_until_due(self) -> None:
        """Wait until all of its runs have ended, the time is over, or the lease is asked for."""
        with anyio.move_on_after(self.ends_at - monotonic()):
            await self.wake.wait()

    async def complete(self, runs: Sequence[Run]) -> bool:
        """Delete the jobs of completed runs; False where the server refuses that, and none is deleted."""
        if runs:
            await self.connection.execute_inside("savepoint held")
        ids = [run.job.id for run in runs]
        try:
            [row] = await self.connection.fetch_inside(
                holds.complete_held(self._schema), {"ids": ids, "hold_id": self.key}
            )
        except asyncpg.PostgresError as refusal:
            if not is_answer(refusal):
                raise
            log.debug("the outcomes of %d held jobs are refused together: %s", len(runs), error_text(refusal))
        else:
            if row["written"] == len(runs):
                return True
        await self.connection.execute_inside("rollback to savepoint held")
        return False

    async def lease(self, runs: Sequence[Run]) -> None:
        """Write the leases that an ordinary claim would have written."""
        [row] = await self.connection.fetch_inside(
            holds.lease_held(self._schema),
            {"ids": [run.job.id for run in runs], "pool_id": self._pool_id, "hold_id": self.key},
        )
        if row["written"] != len(runs):  # by a trigger of the user's
            raise ConnectError("the leases of held jobs could not be written")

    def begun_ids(self) -> list[int]:
        """Return the ids of the jobs of which a handler has begun."""
        return [
            run.job.id
            for run in self.runs
            if not (run.is_waiting or (run.state is not LOST and run.has_ended and type(run.outcome) is Returned))
        ]

    def settle(self) -> Sequence[HeldRun]:
        """Let all of its runs go, and return them: from now on they have a lease, or are lost, or are written."""
        runs, self.runs = self.runs, ()
        self.is_open = False
        for run in runs:
            run.hold = None
        if self.opened.is_set():
            self.opened = anyio.Event()
        self.settled.set()
        return runs
