"""OrphanedLocks: what the pool has locked and no run of its own has, until it is released.

A claim that was not answered may leave such locks, and so does a run whose lock was lost: its queue, or its job, where
only the attempts were changed. `may_exist` says that there may be some; the claimer releases them between two claims
(`gw_sqla.statements.orphaned_locks` says why nobody else may).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from time import monotonic

import anyio

from gw_sqla.database.outage import DATABASE_FAULTS
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.worker.claim_store import ClaimStore
from gw_sqla.worker.known_runs import KnownRuns

__all__ = ["OrphanedLocks"]

log = logging.getLogger(__name__)

_END_SECONDS = 5
_LOOK_AGAIN_SECONDS = 1.0


class OrphanedLocks:
    """Of one worker pool. ``wake_claimer`` is called when some are to be released soon."""

    def __init__(self, store: ClaimStore, known: KnownRuns, *, wake_claimer: Callable[[], None]) -> None:
        self._store = store
        self._known = known
        self._wake_claimer = wake_claimer
        self._release_at = 0.0
        self.may_exist = False

    def release_soon(self) -> None:
        """Take note that there may be some, and wake the claimer: a run of the pool's has lost its lock."""
        self.may_exist = True
        self._wake_claimer()

    @property
    def seconds_to_next(self) -> float:
        """How long until `release` does something; infinity where there is nothing to release."""
        return max(0.0, self._release_at - monotonic()) if self.may_exist else math.inf

    async def release(self) -> None:
        """Release them; what others' transactions hold is tried again, later. Raises `DATABASE_FAULTS`.

        For the task that claims.
        """
        if monotonic() < self._release_at:
            return
        self.may_exist = False  # what comes from now on is for the next time
        is_done = False
        try:
            spent = set(self._known.spent_ids)
            is_done = await self._store.release_orphaned(self._known.holding(), spent)
            if is_done:
                self._known.spent_ids -= spent
        finally:
            self.may_exist |= not is_done
        self._release_at = monotonic() + (0 if is_done else _LOOK_AGAIN_SECONDS)

    async def release_at_end(self) -> bool:
        """Release them when nothing is claimed any more; False where that is not known to be done.

        Shielded, and not longer than some seconds. Where there is none it does not look: that would read all jobs.
        """
        if not self.may_exist:
            return True
        with anyio.move_on_after(_END_SECONDS, shield=True):
            try:
                self._release_at = 0.0
                await self.release()
            except DATABASE_FAULTS as fault:
                log.debug("returning what may have been claimed: %s", error_text(fault))
        return not self.may_exist
