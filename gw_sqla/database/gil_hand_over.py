"""How trio's thread lets the driver's thread run: the two share one interpreter, and its lock.

Python takes the lock from a thread that computes after the switch interval, 5 ms. But a trio program that computes a
little at a time, and looks for I/O in between, gives the lock up itself at each look, for a microsecond: too short for
another thread to wake up and take it, and yet its wait begins anew. It waited for ever. So before trio looks for I/O
without time to wait, it sleeps a moment: soon if the driver's thread has something to do, and now and then for the
threads that work for it, such as the one that looks up the server's name.
"""

from __future__ import annotations

import select
import selectors
import time

import trio

__all__ = ["DriverSelector", "HandOver"]

_MOMENT_SECONDS = 0.00001
"""The shortest sleep that gives the lock away; what the system makes of it is longer, a tenth of a millisecond."""

_SOON_SECONDS = 0.0005
"""No sooner after the last one, where the driver's thread has something to do."""

_AT_LEAST_EVERY_SECONDS = 0.02
"""No later, whoever has something to do."""


class DriverSelector(selectors.DefaultSelector):
    """The selector of the driver's loop, which tells whether the loop has something to do."""

    def __init__(self) -> None:
        super().__init__()
        self._idle_until = 0.0
        self._poll = select.poll() if hasattr(select, "poll") and hasattr(self, "fileno") else None
        if self._poll is not None:
            self._poll.register(self.fileno(), select.POLLIN)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As every selector's; in the driver's thread."""
        self._idle_until = float("inf") if timeout is None else time.monotonic() + timeout if timeout > 0 else 0.0
        found = super().select(timeout)
        self._idle_until = 0.0
        return found

    def has_work(self) -> bool:
        """Whether the driver's thread waits for the interpreter, as far as can be known; in trio's thread."""
        if time.monotonic() >= self._idle_until:
            return True
        return self._poll is not None and bool(self._poll.poll(0))


class HandOver(trio.abc.Instrument):
    """Lets other threads run at a turn of trio's that goes on computing, twice a millisecond at most."""

    def __init__(self, selector: DriverSelector) -> None:
        self._selector = selector
        self._last = 0.0

    def before_io_wait(self, timeout: float) -> None:
        """Called by trio before it looks for I/O, for up to ``timeout`` seconds."""
        now = time.monotonic()
        since = now - self._last
        if timeout > 0:  # it waits, and other threads run
            self._last = now
        elif since > _AT_LEAST_EVERY_SECONDS or (since > _SOON_SECONDS and self._selector.has_work()):
            time.sleep(_MOMENT_SECONDS)
            self._last = time.monotonic()
