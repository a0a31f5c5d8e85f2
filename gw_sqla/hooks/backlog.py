"""Backlog: counts the events that wait for one observer, and tells whether another may wait.

It is bounded by their number and, since events of jobs hold these, by the length of their payloads. What
is over is dropped: the newest, as those before are what it is about to be told. The one who puts and the one who takes
may be two threads; each writes numbers of its own, so that no lock is needed.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any

__all__ = ["MOST_EVENTS", "Backlog"]

log = logging.getLogger(__name__)

MOST_EVENTS = 10_000
_MOST_CHARACTERS = 64 * 2**20
_SAY_AGAIN_SECONDS = 60.0


class Backlog:
    """Of one queue of the observer that is called ``name`` in the log."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dropped = 0
        self._put = self._taken = 0
        self._put_characters = self._taken_characters = 0
        self._said = 0
        self._say_from = 0.0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._put - self._taken

    def put(self, event: Any) -> bool:
        """Tell whether the event may wait, which then counts; log, now and then, how many may not."""
        characters = self._put_characters - self._taken_characters
        if self._put - self._taken < MOST_EVENTS and characters < _MOST_CHARACTERS:
            self._put += 1
            self._put_characters += _characters(event)
            return True
        self.dropped += 1
        if monotonic() >= self._say_from:
            self.say_dropped()
        return False

    def take(self, event: Any) -> None:
        """Take note that an event waits no more."""
        self._taken += 1
        self._taken_characters += _characters(event)

    def say_dropped(self) -> None:
        """Log how many were dropped, if it was not said."""
        if self.dropped > self._said:
            log.warning(
                "observer %s is too slow: %d events wait for it, %d were dropped so far",
                self.name,
                self.waiting,
                self.dropped,
            )
            self._said = self.dropped
            self._say_from = monotonic() + _SAY_AGAIN_SECONDS


def _characters(event: Any) -> int:
    job = getattr(event, "job", None)
    return len(job.payload_text) if job is not None else 0
