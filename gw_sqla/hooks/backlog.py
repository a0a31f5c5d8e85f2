"""Backlog: counts the events that wait for one observer, and tells whether another may wait.

It is bounded by their number and, since events of jobs hold these, by the length of their payloads. What
is over is dropped: the newest, as those before are what it is about to be told. The one who puts and the one who takes
may be two threads; each writes numbers of its own, so that no lock is needed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import accumulate
from operator import attrgetter
from time import monotonic
from typing import Any

__all__ = ["MOST_EVENTS", "Backlog"]

log = logging.getLogger(__name__)

MOST_EVENTS = 10_000
_MOST_CHARACTERS = 64 * 2**20
_SAY_AGAIN_SECONDS = 60.0

_payload_text = attrgetter("job.payload_text")


class Backlog:
    """Of one queue of the observer that is called ``name`` in the log. ``told``: how many wait no more."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dropped = 0
        self.told = 0
        self._put = 0
        self._put_characters = self._taken_characters = 0
        self._said = 0
        self._say_from = 0.0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._put - self.told

    def put(self, events: Sequence[Any]) -> Sequence[Any]:
        """Return those of the events, all of one type, that may wait, which then count; log how many may not."""
        left = self._put_characters - self._taken_characters
        admitted = events if len(events) <= MOST_EVENTS - self.waiting else events[: max(0, MOST_EVENTS - self.waiting)]
        characters = _characters(admitted)
        if left + characters > _MOST_CHARACTERS:
            lengths = accumulate((_characters([event]) for event in admitted), initial=left)
            admitted = [event for event, before in zip(admitted, lengths, strict=False) if before < _MOST_CHARACTERS]
            characters = _characters(admitted)
        self._put += len(admitted)
        self._put_characters += characters
        if len(admitted) < len(events):
            self.dropped += len(events) - len(admitted)
            if monotonic() >= self._say_from:
                self.say_dropped()
        return admitted

    def take(self, events: Sequence[Any]) -> None:
        """Take note that the payloads of these are kept no more; ``told`` counts them one by one."""
        self._taken_characters += _characters(events)

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


def _characters(events: Sequence[Any]) -> int:
    if not events or getattr(events[0], "job", None) is None:
        return 0
    return sum(map(len, map(_payload_text, events)))
