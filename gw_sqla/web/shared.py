"""What all viewers share: the database is asked for it once in an interval, and only where somebody looks.

Whoever comes first after the interval asks, the others wait for the answer. There is no task that goes on by itself: an
application that is mounted has no lifespan of its own, and a dashboard that nobody looks at costs nothing.
A failure is not kept: the next one asks again.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import anyio

__all__ = ["Shared"]

T = TypeVar("T")


class Shared:
    """Values by name, each kept for ``interval``."""

    def __init__(self, interval: timedelta) -> None:
        self._seconds = interval.total_seconds()
        self._values: dict[str, tuple[float, Any]] = {}
        self._locks: dict[str, anyio.Lock] = {}

    async def get(self, name: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Return the value of this name: what ``ask`` returns, no older than the interval when it began."""
        lock = self._locks.setdefault(name, anyio.Lock())
        async with lock:
            at, value = self._values.get(name, (-self._seconds, None))
            if time.monotonic() - at >= self._seconds:
                at = time.monotonic()
                value = await ask()
                self._values[name] = at, value
            kept: T = value
            return kept

    def forget(self) -> None:
        """Ask anew, for something was changed."""
        self._values.clear()
