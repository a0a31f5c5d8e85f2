"""PatientSession: a handler's session whose statements end before a cancellation of the handler.

SQLAlchemy gives a connection up in the middle of whose statement it is cancelled. In production that is the handler's
own; here it is the test's, and its transaction would be lost with it. So a timeout that passes during a statement takes
effect when the statement has ended.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

import anyio
import anyio.lowlevel

from gw_sqla.database.session import AsyncSession

__all__ = ["BlockingSession", "PatientSession"]

P = ParamSpec("P")
R = TypeVar("R")


class PatientSession(AsyncSession):
    """An AsyncSession of the kit's."""


class BlockingSession(PatientSession):
    """The same over the connection of a sync driver, whose cursors SQLAlchemy cannot close as those of an async one."""

    async def execute(self, *args: Any, **options: Any) -> Any:
        """Execute a statement; see SQLAlchemy's method."""
        return self.sync_session.execute(*args, **options)


def _patient(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        result = await _to_its_end(method, *args, **kwargs)
        await anyio.lowlevel.checkpoint_if_cancelled()
        return result

    return call


async def _to_its_end(method: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
    with anyio.CancelScope(shield=True):
        return await method(*args, **kwargs)
    raise AssertionError("nothing cancels this scope")


for _name in dir(AsyncSession):
    _method = inspect.getattr_static(AsyncSession, _name)
    if not _name.startswith("_") and inspect.iscoroutinefunction(_method):
        setattr(PatientSession, _name, _patient(_method))
