"""Lease: until when no other worker can take this pool for dead, by this process's own clock.

It begins when a heartbeat is sent that is then answered, and lasts for the threshold, so it ends
before the database's clock allows anybody to sweep. A pool without it claims no job and begins none that
waits in its local queue: they may be another's by now. What runs goes on; most outages end with nobody swept.
"""

from __future__ import annotations

from time import monotonic

import anyio

__all__ = ["Lease"]

_LOOK_AGAIN = 0.05


class Lease:
    """Granted by the heartbeat, looked at by the claimer and the slots."""

    def __init__(self) -> None:
        self._until = float("-inf")

    @property
    def is_held(self) -> bool:
        """Whether the pool may claim and begin jobs."""
        return monotonic() < self._until

    def grant(self, since: float, seconds: float) -> None:
        """Hold it for ``seconds`` from ``since``, a time of `time.monotonic`."""
        self._until = since + seconds

    def revoke(self) -> None:
        """End it now: the pool was taken for dead."""
        self._until = float("-inf")

    async def held(self) -> None:
        """Wait until it is held; cancellable."""
        while not self.is_held:  # noqa: ASYNC110 - rare, and it ends by time as well as by an event
            await anyio.sleep(_LOOK_AGAIN)
