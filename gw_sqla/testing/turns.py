"""Turns: sessions of a handler's tasks, one after another on the one connection of the test.

In production each session has a connection of its own. Here a session's transaction is a savepoint, and one that began
while another's was open lies inside that, and ends with it. So a session waits until the transactions are over that
tasks beside its own have open; inside those that its own task has open, or one around it, it is at home.
"""

from __future__ import annotations

from contextvars import ContextVar
from time import monotonic
from typing import Any

import anyio
from sqlalchemy.ext.asyncio import AsyncSession

from gw_sqla.errors import JobTesterError

__all__ = ["Turns"]

_PATIENCE = 5.0
"""Seconds for which a session waits: longer it is most likely two that wait for each other."""

_PAUSE = 0.001

_around: ContextVar[tuple[AsyncSession, ...]] = ContextVar("_around", default=())
"""The sessions that this task has open, and those around it had when they started it."""


class Turns:
    """Of one connection."""

    def __init__(self) -> None:
        self._calls: dict[AsyncSession, int] = {}  # in the order in which they began; how many of each are under way

    async def begin(self, session: AsyncSession) -> None:
        """Begin a call of a session's, when it may; raises JobTesterError where it waits for too long."""
        began = monotonic()
        while self._must_wait(session):
            if monotonic() - began > _PATIENCE:
                raise JobTesterError(
                    f"the handler uses sessions in several tasks at once, and one has waited for {_PATIENCE:g} s: a "
                    "test has one connection for all of them, so each must end its transaction before that of a task "
                    "beside it can begin"
                )
            await anyio.sleep(_PAUSE)
        self._calls[session] = self._calls.get(session, 0) + 1
        around = _around.get()
        if session not in around:
            _around.set((*(other for other in around if other in self._calls), session))

    def end(self, session: AsyncSession) -> None:
        """End a call."""
        self._calls[session] -= 1

    def _must_wait(self, session: AsyncSession) -> bool:
        for other, calls in list(self._calls.items()):
            if not calls and not other.in_transaction():
                self._calls.pop(other, None)
        began = list(self._calls)
        later = began[began.index(session) + 1 :] if session in began else began
        around: Any = _around.get()
        return any(other not in around for other in later)
