"""Lease: until when no other worker can take this pool for dead, by this machine's own clock.

It begins when a heartbeat is sent that is then answered, and lasts for the threshold, so it ends
before the database's clock allows anybody to sweep. A pool without it claims no job and begins none that
waits in its local queue: they may be another's by now. What runs goes on; most outages end with nobody swept.

The clock counts the time for which the machine slept, where the system has one that does: the others swept meanwhile.
"""

from __future__ import annotations

import sys
import time

import anyio

__all__ = ["Lease", "lease_clock"]

_LOOK_AGAIN = 0.05


_CLOCK: int | None
if hasattr(time, "CLOCK_BOOTTIME"):
    _CLOCK = time.CLOCK_BOOTTIME
elif sys.platform == "darwin":  # there it counts sleep, and `time.monotonic` is another
    _CLOCK = time.CLOCK_MONOTONIC
else:
    _CLOCK = None


def lease_clock() -> float:
    """Return the seconds since some moment, those for which the machine slept included where it can be."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


class Lease:
    """Granted by the heartbeat, looked at by the claimer and the slots."""

    def __init__(self) -> None:
        self._until = float("-inf")

    @property
    def is_held(self) -> bool:
        """Whether the pool may claim and begin jobs."""
        return lease_clock() < self._until

    def grant(self, since: float, seconds: float) -> None:
        """Hold it for ``seconds`` from ``since``, a time of `lease_clock`."""
        self._until = since + seconds

    def revoke(self) -> None:
        """End it now: the pool was taken for dead."""
        self._until = float("-inf")

    async def wait_until_held(self) -> None:
        """Wait until it is held; cancellable."""
        while not self.is_held:  # noqa: ASYNC110 - rare, and it ends by time as well as by an event
            await anyio.sleep(_LOOK_AGAIN)
