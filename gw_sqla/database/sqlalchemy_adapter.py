"""SQLAlchemy's asyncio classes, with each awaiting method through the seam of `gw_sqla.database.event_loops`.

The methods are found by inspection, so one that a later SQLAlchemy adds is covered. What ends a
transaction or gives a connection back is shielded, and bounded in time (`gw_sqla.database.transaction_end`).

A result of ``stream`` goes on awaiting after the call: it is given a class whose methods go through the seam too, each
row of an ``async for`` by itself. ``partitions`` costs less.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any, ParamSpec, TypeVar

import anyio
from sqlalchemy.ext import asyncio as sa

from gw_sqla.database.event_loops import call_asyncio, call_session
from gw_sqla.database.transaction_end import end_in_time

__all__ = ["adapt"]

P = ParamSpec("P")
R = TypeVar("R")

_STREAMS = frozenset({"stream", "stream_scalars"})
_CALLERS = frozenset({"run_sync"})
"""They call a function of the user's, which may do anything."""
_CLEANUP = frozenset({"__aexit__", "aclose", "close", "invalidate", "reset", "rollback"})


def adapt(cls: type, base: type) -> None:
    """Give ``cls`` a version of each awaiting method of ``base`` that works on both event loops; its own ones stay."""
    for name in set(dir(base)) - vars(cls).keys():
        method = inspect.getattr_static(base, name)
        if inspect.iscoroutinefunction(method):
            wrap: Callable[..., Any] = _WRAPPERS.get(name, _of_session)
            setattr(cls, name, wrap(method))
        elif isinstance(method, classmethod) and inspect.iscoroutinefunction(method.__func__):
            setattr(cls, name, classmethod(_through_seam(method.__func__)))


def _of_session(method: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Awaitable[R]]:
    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return await call_session(method, *args, **kwargs)

    return call


def _through_seam(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return await call_asyncio(method, *args, **kwargs)

    return call


def _shielded(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with anyio.CancelScope(shield=True):
            return await call_session(end_in_time, method, *args, is_clean_up=True, **kwargs)
        raise AssertionError("nothing cancels this scope")

    return call


def _streaming(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return _adapt_result(await call_asyncio(method, *args, **kwargs))

    return call


_WRAPPERS: dict[str, Callable[..., Any]] = (
    dict.fromkeys(_STREAMS, _streaming) | dict.fromkeys(_CLEANUP, _shielded) | dict.fromkeys(_CALLERS, _through_seam)
)


def _adapt_result(result: R) -> R:
    result.__class__ = _SUBCLASSES.get(type(result), type(result))
    return result


class _Pages:
    """What ``partitions`` gives. SQLAlchemy has a generator there, which nobody closes in a loop that is left early."""

    def __init__(self, result: Any, size: int | None) -> None:
        self._result = result
        self._size = size

    def __aiter__(self) -> AsyncIterator[Sequence[Any]]:
        return self

    async def __anext__(self) -> Sequence[Any]:
        page: Sequence[Any] = await self._result.fetchmany(self._size)
        if page:
            return page
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Do nothing: the rows belong to the result."""


class _Partitions:
    __slots__ = ()

    def partitions(self, size: int | None = None) -> AsyncIterator[Sequence[Any]]:
        return _Pages(self, size)


class _Scalars(_Partitions, sa.AsyncScalarResult[Any]):
    __slots__ = ()


class _Mappings(_Partitions, sa.AsyncMappingResult):
    __slots__ = ()


class _Rows(_Partitions, sa.AsyncResult[Any]):
    __slots__ = ()

    def scalars(self, index: Any = 0) -> Any:
        return _adapt_result(super().scalars(index))

    def mappings(self) -> Any:
        return _adapt_result(super().mappings())


_SUBCLASSES: dict[type, type] = {
    sa.AsyncResult: _Rows,
    sa.AsyncScalarResult: _Scalars,
    sa.AsyncMappingResult: _Mappings,
}

for _base, _subclass in _SUBCLASSES.items():
    adapt(_subclass, _base)
