"""Pauses: what is paused, as a worker pool has seen it last; a claim leaves that alone.

Looked at over the claims' own connection, before a claim: when a notification has said that something changed, when a
pause is over, and at least as often as the pool polls. So a pool that nothing is paused for pays a small query in each
interval, and nothing in a claim, whose statement is the same as ever. A paused task is left out of those that are
claimed, paused queues are named to the claim, and where everything is paused, or each task, none is made.

Rejected: to look for pauses in each claim's own statement, which every claim would pay for; a connection of their own,
for a fifth of what a worker needs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import monotonic

from gw_sqla.hooks.observers import Observers
from gw_sqla.jobs.pause import Pause, PauseSeen
from gw_sqla.worker.claim_store import ClaimStore

__all__ = ["Pauses"]

log = logging.getLogger(__name__)

_AFTER = 0.001
"""Seconds after the end of a pause at which it is over for certain: times of the database have microseconds."""


class Pauses:
    """Asked by the claimers of a pool, told of news by the listener.

    ``queues`` are the names of paused ones; ``version`` grows with each change.
    """

    def __init__(self, store: ClaimStore, observers: Observers, *, interval: float) -> None:
        self._store = store
        self._observers = observers
        self._interval = interval
        self._seen: frozenset[Pause] = frozenset()
        self._next_look = 0.0
        self.queues: Sequence[str] = ()
        self.version = 0

    @property
    def is_look_due(self) -> bool:
        """Whether something may have changed."""
        return monotonic() >= self._next_look

    @property
    def seconds_to_next(self) -> float:
        """How long until the next look is due."""
        return max(0.0, self._next_look - monotonic())

    def changed(self) -> None:
        """Take note that somebody has paused or resumed something, perhaps."""
        self._next_look = 0.0

    def open_tasks(self, task_identifiers: Sequence[str]) -> list[str]:
        """Return those of the tasks that may be claimed now."""
        if any(pause.kind == "everything" for pause in self._seen):
            return []
        paused = {pause.name for pause in self._seen if pause.kind == "task"}
        return [task for task in task_identifiers if task not in paused]

    async def look(self) -> None:
        """Look, and tell what is new. Raises and cancels as `ClaimStore.find_pauses`."""
        self._next_look = monotonic() + self._interval  # a notification that comes meanwhile is news
        try:
            found = await self._store.find_pauses()
        except BaseException:
            self._next_look = 0.0
            raise
        first_end = min((seconds for _, seconds in found if seconds is not None), default=None)
        if first_end is not None:
            self._next_look = min(self._next_look, monotonic() + first_end + _AFTER)
        before, self._seen = self._seen, frozenset(pause for pause, _ in found)
        if self._seen != before:
            self.version += 1
            self.queues = sorted(pause.name for pause in self._seen if pause.kind == "queue")
            self._tell([PauseSeen(pause, is_over=True) for pause in before - self._seen])
            self._tell([PauseSeen(pause, is_over=False) for pause in self._seen - before])

    def _tell(self, news: list[PauseSeen]) -> None:
        for seen in sorted(news, key=lambda seen: (seen.pause.kind, seen.pause.name)):
            if seen.is_over:
                log.info("no longer paused: %s", seen.pause)
            else:
                log.warning("paused: %s", seen.pause)
            self._observers.tell(seen)
