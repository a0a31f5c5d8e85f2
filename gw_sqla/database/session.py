"""An AsyncSession whose awaiting methods work on asyncio and on trio, and an AsyncAttrs for models.

SQLAlchemy's class awaits asyncio futures in every method that talks to the database. Here each of
them, and those of the transaction object of ``begin()`` and ``begin_nested()``, goes through the
seam of `gw_sqla.database.event_loops` (`gw_sqla.database.sqlalchemy_adapter`). So do the results of ``stream`` and
``stream_scalars``.

Not covered on trio: the AsyncConnection that ``connection`` returns (use ``run_sync``, or `gw_sqla.call_asyncio`
with its methods).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar, overload

import anyio
from sqlalchemy.ext import asyncio as sa

from gw_sqla.database.event_loops import call_asyncio, call_session, require_loop
from gw_sqla.database.sqlalchemy_adapter import adapt
from gw_sqla.database.transaction_end import commit_patiently, end_in_time

__all__ = ["AsyncAttrs", "AsyncSession", "AsyncSessionTransaction", "async_sessionmaker"]

SessionT = TypeVar("SessionT", bound="AsyncSession")
Bind: TypeAlias = sa.AsyncEngine | sa.AsyncConnection | None


class AsyncSessionTransaction(sa.AsyncSessionTransaction):
    """SQLAlchemy's transaction object, usable on both event loops."""

    __slots__ = ()

    async def start(self, is_ctxmanager: bool = False) -> AsyncSessionTransaction:
        """Begin; see SQLAlchemy's method. Only a savepoint talks to the database now, and needs the seam."""
        require_loop()
        start = super().start
        await (call_asyncio(start, is_ctxmanager) if self.nested else start(is_ctxmanager))
        return self

    async def __aenter__(self) -> AsyncSessionTransaction:
        return await self.start(is_ctxmanager=True)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await _end(kind, super().__aexit__, kind, error, traceback)


class AsyncSession(sa.AsyncSession):
    """SQLAlchemy's AsyncSession, usable on both event loops; a drop-in for ``class_=``.

    On trio it needs an open `gw_sqla.database_loop`. A cancellation during a statement cancels the
    statement on the server; the transaction must then be rolled back, as with SQLAlchemy's own.
    """

    async def __aenter__(self) -> Self:
        require_loop()
        return self

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
        await _end(kind, self._end, kind, error, traceback)

    async def _end(self, *error: Any) -> None:
        try:
            await sa.AsyncSessionTransaction.__aexit__(self._transaction, *error)
        finally:
            await self._session.close()


async def _end(raised: type[BaseException] | None, end: Callable[..., Awaitable[None]], *args: Any) -> None:
    """Leave the block of a transaction: with a commit where nothing was raised in it."""
    if raised is None:
        await commit_patiently(partial(end_in_time, end, *args, is_clean_up=False))
        return
    with anyio.CancelScope(shield=True):
        await call_session(end_in_time, end, *args, is_clean_up=True)


class AsyncAttrs(sa.AsyncAttrs):
    """SQLAlchemy's AsyncAttrs, usable on both event loops: a base or mixin for models.

    ``await order.awaitable_attrs.lines`` loads what is not loaded, in the transaction of the object's session.
    """

    @property
    def awaitable_attrs(self) -> AwaitableAttributes:  # type: ignore[override] # SQLAlchemy's type here is private
        """The attributes, each to be awaited."""
        return AwaitableAttributes(super().awaitable_attrs)


class AwaitableAttributes:
    """The attributes of one object, to be awaited."""

    __slots__ = ("_attributes",)

    def __init__(self, attributes: Any) -> None:
        self._attributes = attributes

    def __getattr__(self, name: str) -> Awaitable[Any]:
        return call_asyncio(getattr, self._attributes, name)


adapt(AsyncSession, sa.AsyncSession)
adapt(AsyncSessionTransaction, sa.AsyncSessionTransaction)
