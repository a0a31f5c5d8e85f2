"""Clock: the time of day and waiting for it, given to what works by the calendar.

Injected, so that a test moves the time by hand and waits for no real minute.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

import anyio

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """What knows the time. It may jump, in both directions, as clocks of machines do."""

    def now(self) -> datetime:
        """Return the time, in UTC."""
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Wait for a duration; at the end any time may have passed. Cancellable."""
        ...


class SystemClock:
    """The machine's clock. Its sleep does not count the time for which the machine was suspended."""

    def now(self) -> datetime:
        """Return the machine's time, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, duration: timedelta) -> None:
        """Wait in the event loop."""
        await anyio.sleep(duration.total_seconds())
