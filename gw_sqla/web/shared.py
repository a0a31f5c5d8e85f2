"""What all viewers share: the database is asked for it once in an interval, and only where somebody looks.

Whoever comes first after the interval asks, the others wait for the answer. There is no task that goes on by itself: an
application that is mounted has no lifespan of its own, and a dashboard that nobody looks at costs nothing.
A value is kept for the interval, and for a hundred times as long as it took to read: each takes less than a hundredth
of a core of the database's, however large the queue is. A failure is not kept: the next one asks again.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar

import anyio

from gw_sqla.admin import Rates, Turnover

__all__ = ["MOST_NAMES", "History", "Shared"]

T = TypeVar("T")
MOST_NAMES = 200
_SHARE = 100
_MOST_POINTS = 240
_MINUTE = 60.0


@dataclass(slots=True)
class _Seen:
    """A value, when it was read, and until when it is kept; ``lock``: whoever has it, asks."""

    lock: anyio.Lock
    value: Any = None
    at: datetime | None = None
    kept_until: float = -math.inf


class Shared:
    """Values by name, each kept for ``interval`` at least; and the history of the turnover, while somebody looks.

    The names may come from addresses: of more than `MOST_NAMES`, those that were not asked for the longest are dropped.
    """

    def __init__(self, interval: timedelta) -> None:
        self.interval = interval
        self.history = History()
        self._seen: dict[str, _Seen] = {}

    async def get(self, name: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Return the value of this name: what ``ask`` returns, no older than it may be kept.

        A cancellation ends the asking; the next one asks again.
        """
        seen = self._seen.pop(name, None) or _Seen(anyio.Lock())
        self._seen[name] = seen  # behind all others
        while len(self._seen) > MOST_NAMES:
            del self._seen[next(iter(self._seen))]
        async with seen.lock:
            if time.monotonic() >= seen.kept_until:
                began, at = time.monotonic(), datetime.now(UTC)
                seen.value = await ask()
                took = time.monotonic() - began
                seen.at = at
                seen.kept_until = began + max(self.interval.total_seconds(), _SHARE * took)
            kept: T = seen.value
            return kept

    def at(self, name: str) -> datetime | None:
        """Return when the value of this name was read, by this process's clock."""
        seen = self._seen.get(name)
        return seen.at if seen is not None else None

    def forget(self) -> None:
        """Ask anew, for somebody has changed something, and wants to see it."""
        self._seen.clear()


class History:
    """The turnover as it was seen, the newest last."""

    def __init__(self) -> None:
        self._points: deque[Turnover] = deque(maxlen=_MOST_POINTS)

    def add(self, turnover: Turnover) -> None:
        """Add what was read; statistics that began anew begin a new history."""
        last = self._points[-1] if self._points else None
        if last is not None and (turnover.inserted < last.inserted or turnover.deleted < last.deleted):
            self._points.clear()
        if last is None or turnover.at > last.at:
            self._points.append(turnover)

    def last_minute(self) -> Rates | None:
        """Return jobs per minute, over the last minute that was seen; None where nothing can be said yet."""
        if len(self._points) < 2:
            return None
        newest = self._points[-1]
        older = [point for point in self._points if newest.at - point.at >= _MINUTE]
        per_second = newest.since(older[-1] if older else self._points[0])
        return Rates(per_second.added * _MINUTE, per_second.gone * _MINUTE)

    def rates(self) -> list[tuple[float, Rates]]:
        """Return jobs per minute between each two points, with the seconds before the newest."""
        points = list(self._points)
        found: list[tuple[float, Rates]] = []
        for before, after in pairwise(points):
            rates = after.since(before)
            found.append((points[-1].at - after.at, Rates(rates.added * _MINUTE, rates.gone * _MINUTE)))
        return found
