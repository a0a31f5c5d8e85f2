"""For how long ``forward --once`` waits for a sink that is out of reach.

A worker that stays waits for ever: nothing is lost meanwhile. Who asks for one round, a timer or a CronJob, wants to be
told that it could not be done: the others' jobs are forwarded, and then the program ends with exit code 1. Rejected: to
end at the first fault, as a broker that is being restarted is back in seconds; and to leave what is out of reach out
and end with 0, as nobody would look.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup

from gw_sqla.hooks.events import DatabaseFault, DatabaseFaultOver
from gw_sqla.hooks.observer import Observer

__all__ = ["Patience"]

_FORWARDING = "forwarding to "


class Patience(Observer):
    """Ends a runner's round when a sink has been out of reach for ``seconds``; ``given_up`` then says what and why."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: TaskGroup | None = None
        self._give_up: Callable[[], object] = lambda: None
        self._outages: dict[str, anyio.CancelScope] = {}
        self.given_up: str | None = None

    def begin(self, waiting: TaskGroup, give_up: Callable[[], object]) -> None:
        """Wait in this task group, which must last as long as the round."""
        self._waiting = waiting
        self._give_up = give_up

    async def database_fault(self, event: DatabaseFault) -> None:
        """A sink's outage begins, or something else's, which is not waited for here."""
        if self._waiting is not None and event.doing.startswith(_FORWARDING):
            scope = self._outages[event.doing] = anyio.CancelScope()
            self._waiting.start_soon(self._wait, scope, event)

    async def database_fault_over(self, event: DatabaseFaultOver) -> None:
        """It is over."""
        scope = self._outages.pop(event.doing, None)
        if scope is not None:
            scope.cancel()

    async def _wait(self, scope: anyio.CancelScope, event: DatabaseFault) -> None:
        with scope:
            await anyio.sleep(self._seconds)
            self.given_up = f"{event.doing} was not possible for {self._seconds:g} s: {event.reason}"
            self._give_up()
