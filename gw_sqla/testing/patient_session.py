"""PatientSession: a handler's session whose statements end before a cancellation of the handler.

SQLAlchemy gives a connection up in the middle of whose statement it is cancelled. In production that is the handler's
own; here it is the test's, and its transaction would be lost with it. So a timeout that passes during a statement takes
effect when the statement has ended.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
import anyio.lowlevel

from gw_sqla.database.session import AsyncSession
from gw_sqla.testing.turns import Turns

__all__ = ["BlockingSession", "PatientSession"]

R = TypeVar("R")


class PatientSession(AsyncSession):
    """An AsyncSession of the kit's, which takes its turns."""

    def __init__(self, *args: Any, turns: Turns, **options: Any) -> None:
        self._turns = turns
        super().__init__(*args, **options)


class BlockingSession(PatientSession):
    """The same over the connection of a sync driver, whose cursors SQLAlchemy cannot close as those of an async one."""

    async def execute(self, *args: Any, **options: Any) -> Any:
        """Execute a statement; see SQLAlchemy's method."""
        await self._turns.begin(self)
        try:
            return self.sync_session.execute(*args, **options)
        finally:
            self._turns.end(self)


def _patient(method: Callable[..., Awaitable[R]]) -> Callable[..., Awaitable[R]]:
    @functools.wraps(method)
    async def call(self: PatientSession, *args: Any, **kwargs: Any) -> R:
        await self._turns.begin(self)
        try:
            with anyio.CancelScope(shield=True):
                result = await method(self, *args, **kwargs)
        finally:
            self._turns.end(self)
        await anyio.lowlevel.checkpoint_if_cancelled()
        return result

    return call


for _name in dir(AsyncSession):
    _method = inspect.getattr_static(AsyncSession, _name)
    if not _name.startswith("_") and inspect.iscoroutinefunction(_method):
        setattr(PatientSession, _name, _patient(_method))
