"""SQLAlchemy's asyncio classes, with each awaiting method through the seam of `gw_sqla.driver`.

The methods are found by inspection, so one that a later SQLAlchemy adds is covered. What ends a
transaction or gives a connection back is shielded: a cancelled block still rolls back before it is left, whatever
the event loop.

A result of ``stream`` goes on awaiting after the call. On asyncio it is SQLAlchemy's own; on trio it is given a class
whose methods go through the seam too, each row of an ``async for`` by itself: ``partitions`` costs less.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import anyio
from sqlalchemy.ext import asyncio as sa

from gw_sqla.driver import call_asyncio, on_trio

__all__ = ["adapt"]

P = ParamSpec("P")
R = TypeVar("R")

_STREAMS = frozenset({"stream", "stream_scalars"})
_CLEANUP = frozenset({"__aexit__", "aclose", "close", "invalidate", "reset", "rollback"})


def adapt(cls: type, base: type) -> None:
    """Give ``cls`` a version of each awaiting method of ``base`` that works on both event loops."""
    for name in dir(base):
        method = inspect.getattr_static(base, name)
        if inspect.iscoroutinefunction(method):
            wrap = _streaming if name in _STREAMS else _shielded if name in _CLEANUP else _through_seam
            setattr(cls, name, wrap(method))


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


def _streaming(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        result = await call_asyncio(method, *args, **kwargs)
        return _of_trio(result) if on_trio() else result

    return call


def _of_trio(result: Any) -> Any:
    result.__class__ = _ON_TRIO[type(result)]
    return result


class _Paged:
    """Pages of rows, as ``partitions`` of SQLAlchemy's results gives them."""

    __slots__ = ()

    async def partitions(self: Any, size: int | None = None) -> AsyncIterator[Sequence[Any]]:
        while page := await self.fetchmany(size):
            yield page


class _Scalars(_Paged, sa.AsyncScalarResult[Any]):
    __slots__ = ()


class _Mappings(_Paged, sa.AsyncMappingResult):
    __slots__ = ()


class _Rows(_Paged, sa.AsyncResult[Any]):
    __slots__ = ()

    def scalars(self, index: Any = 0) -> Any:
        return _of_trio(super().scalars(index))

    def mappings(self) -> Any:
        return _of_trio(super().mappings())


_ON_TRIO: dict[type, type] = {
    sa.AsyncResult: _Rows,
    sa.AsyncScalarResult: _Scalars,
    sa.AsyncMappingResult: _Mappings,
}

for _base, _adapted in _ON_TRIO.items():
    adapt(_adapted, _base)
