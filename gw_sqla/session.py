"""An AsyncSession whose awaiting methods work on asyncio and on trio.

SQLAlchemy's class awaits asyncio futures in every method that talks to the database. Here each of
them, and those of the transaction object of ``begin()`` and ``begin_nested()``, goes through the
seam of `gw_sqla.driver`. They are found by inspection, so a method that a later SQLAlchemy adds is
covered. What ends a transaction or gives a connection back is shielded: a cancelled block still
rolls back before it is left, whatever the event loop.

Not covered on trio, because their results keep awaiting asyncio: ``stream``, ``stream_scalars``
(refused with a clear error), ``awaitable_attrs`` of a model (load with options or ``refresh``) and the
AsyncConnection that ``connection`` returns (use ``run_sync``, or `gw_sqla.call_asyncio` with its methods).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeAlias, TypeVar, overload

import anyio
from sqlalchemy.ext import asyncio as sa

from gw_sqla.driver import call_asyncio, on_trio
from gw_sqla.errors import LoopError

__all__ = ["AsyncSession", "AsyncSessionTransaction", "async_sessionmaker"]

P = ParamSpec("P")
R = TypeVar("R")
SessionT = TypeVar("SessionT", bound="AsyncSession")
Bind: TypeAlias = sa.AsyncEngine | sa.AsyncConnection | None

_STREAMS = frozenset({"stream", "stream_scalars"})
_CLEANUP = frozenset({"__aexit__", "aclose", "close", "invalidate", "reset", "rollback"})


def _through_seam(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return await call_asyncio(method, *args, **kwargs)

    return call


def _shielded(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with anyio.CancelScope(shield=True):
            return await call_asyncio(method, *args, **kwargs)
        raise AssertionError("nothing cancels this scope")

    return call


def _asyncio_only(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if on_trio():
            raise LoopError(
                f"AsyncSession.{method.__name__}() works on asyncio only: its result awaits the driver later; "
                "on trio use execute() with pages (a limit and a key)"
            )
        return await method(*args, **kwargs)

    return call


def _adapt(cls: type, base: type) -> None:
    """Give ``cls`` a version of each awaiting method of ``base`` that works on both event loops."""
    for name in dir(base):
        method = inspect.getattr_static(base, name)
        if inspect.iscoroutinefunction(method):
            wrap = _asyncio_only if name in _STREAMS else _shielded if name in _CLEANUP else _through_seam
            setattr(cls, name, wrap(method))


class AsyncSessionTransaction(sa.AsyncSessionTransaction):
    """SQLAlchemy's transaction object, usable on both event loops."""

    __slots__ = ()


class AsyncSession(sa.AsyncSession):
    """SQLAlchemy's AsyncSession, usable on both event loops; a drop-in for ``class_=``.

    On trio it needs an open `gw_sqla.database_loop`. A cancellation during a statement cancels the
    statement on the server; the transaction must then be rolled back, as with SQLAlchemy's own.
    """

    def begin(self) -> AsyncSessionTransaction:
        """Begin a transaction; see SQLAlchemy's ``AsyncSession.begin``."""
        return AsyncSessionTransaction(self)

    def begin_nested(self) -> AsyncSessionTransaction:
        """Begin a savepoint; see SQLAlchemy's ``AsyncSession.begin_nested``."""
        return AsyncSessionTransaction(self, nested=True)

    def get_transaction(self) -> AsyncSessionTransaction | None:
        """Return the transaction in progress, if any; see SQLAlchemy's ``AsyncSession.get_transaction``."""
        return _adapted(super().get_transaction())

    def get_nested_transaction(self) -> AsyncSessionTransaction | None:
        """Return the innermost savepoint in progress, if any; see SQLAlchemy's method of this name."""
        return _adapted(super().get_nested_transaction())


def _adapted(transaction: sa.AsyncSessionTransaction | None) -> AsyncSessionTransaction | None:
    if transaction is None or isinstance(transaction, AsyncSessionTransaction):
        return transaction
    transaction.__class__ = AsyncSessionTransaction  # SQLAlchemy made it, for a transaction that began by itself
    assert isinstance(transaction, AsyncSessionTransaction)
    return transaction


class async_sessionmaker(sa.async_sessionmaker[SessionT]):  # noqa: N801 - SQLAlchemy's own name for it
    """SQLAlchemy's async_sessionmaker, with the `AsyncSession` of this module as its class.

    Calling it gives a session, ``begin()`` a session in a transaction, on both event loops.
    """

    @overload
    def __init__(self: async_sessionmaker[AsyncSession], bind: Bind = ..., **kwargs: Any) -> None: ...
    @overload
    def __init__(self, bind: Bind = ..., *, class_: type[SessionT], **kwargs: Any) -> None: ...

    def __init__(self, bind: Bind = None, *, class_: Any = AsyncSession, **kwargs: Any) -> None:
        super().__init__(bind, class_=class_, **kwargs)

    def begin(self) -> SessionInTransaction[SessionT]:  # type: ignore[override] # SQLAlchemy's type here is private
        """Return a context manager: a new session in a transaction that commits at the end."""
        return SessionInTransaction(self())


class SessionInTransaction(Generic[SessionT]):
    """What ``async_sessionmaker.begin()`` returns: commits at the end, rolls back on an error, closes."""

    def __init__(self, session: SessionT) -> None:
        self._session = session
        self._transaction = session.begin()

    async def __aenter__(self) -> SessionT:
        await self._transaction.__aenter__()
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._transaction.__aexit__(kind, error, traceback)
        finally:
            await self._session.close()


_adapt(AsyncSession, sa.AsyncSession)
_adapt(AsyncSessionTransaction, sa.AsyncSessionTransaction)
