"""A clock that a test moves by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

import anyio


class ManualClock:
    """Stands still until `advance` or `jump`; `until_asleep` waits for the one who waits for it."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._run = timedelta(0)  # what sleepers count, as a machine's monotonic clock
        self._naps: list[tuple[timedelta, anyio.Event]] = []
        self._changed = anyio.Event()

    def now(self) -> datetime:
        return self._now

    async def sleep(self, duration: timedelta) -> None:
        nap = (self._run + duration, anyio.Event())
        self._naps.append(nap)
        self._changed.set()
        await nap[1].wait()

    def advance(self, duration: timedelta) -> None:
        """Let time pass; sleepers whose time has come wake up."""
        self._now += duration
        self._run += duration
        self._wake(self._run)

    def jump(self, duration: timedelta) -> None:
        """Put the clock forward, or back; sleepers do not notice."""
        self._now += duration

    def wake_early(self) -> None:
        """Wake the sleepers although no time has passed."""
        self._wake(timedelta.max)

    def _wake(self, until: timedelta) -> None:
        for nap in [nap for nap in self._naps if nap[0] <= until]:
            self._naps.remove(nap)
            nap[1].set()

    async def until_asleep(self, sleepers: int = 1) -> None:
        """Wait until so many sleep: they have then done all there was to do."""
        with anyio.fail_after(30):
            while len(self._naps) < sleepers:
                self._changed = anyio.Event()
                await self._changed.wait()
