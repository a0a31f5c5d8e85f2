"""The one seam between the event loop that runs gw_sqla and the asyncio that the driver speaks.

asyncpg and SQLAlchemy's asyncio extension await asyncio futures only. Everything else here is
written in anyio and runs natively on asyncio and on trio. Whatever must await the driver goes
through `call_asyncio`, which runs the coroutine as an asyncio task: in the running loop on asyncio,
in a loop that has a thread of its own on trio (`gw_sqla.loop_thread`). Exceptions and cancellation pass through.

Why a task on asyncio too: anyio cancels by level, at every await again, and asyncpg needs a few
awaits to tell the server that a query is cancelled. Awaited directly, the connection was dropped
instead, and the query went on in the server with its locks. The task is cancelled once, and waited
for; it costs some ten microseconds a call, and a turn of the event loop. The claim, which is shielded
from anyio's cancellation, goes without: `call_asyncio_shielded`.

Rejected: an abstract driver with one implementation for each event loop (twice the code, half the tests).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import anyio

from gw_sqla.errors import LoopError

if TYPE_CHECKING:
    from gw_sqla.loop_thread import LoopThread

__all__ = [
    "before_loop_closes",
    "call_asyncio",
    "call_asyncio_shielded",
    "database_loop",
    "in_this_loop",
    "on_trio",
]

P = ParamSpec("P")
R = TypeVar("R")


def on_trio() -> bool:
    """Tell whether the caller is a task of trio's (False in the thread of its asyncio loop)."""
    in_trio_task = getattr(sys.modules.get("trio.lowlevel"), "in_trio_task", None)
    return in_trio_task is not None and bool(in_trio_task())


async def call_asyncio(function: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call an asyncio coroutine function and await it, on asyncio or on trio.

    Returns and raises what the function does. On trio the function runs in another thread, in a copy of the caller's
    context, while the caller waits. A cancellation cancels the call, once, and waits until it has cleaned up, for as
    long as that takes: what may hang bounds itself, by ``asyncio.timeout``. One that comes as the call ends
    drops its result, so what must be closed is kept where the caller can reach it. Raises LoopError on trio when no
    `database_loop` is open.
    """
    if not on_trio():
        return await _cancelled_once(asyncio.ensure_future(function(*args, **kwargs)))
    return await _trio_loop().call(function, *args, **kwargs)


async def call_asyncio_shielded(function: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
    """`call_asyncio` for callers inside a shielded scope without a deadline: no cancellation by level reaches them.

    On asyncio the coroutine is awaited as it is. That saves a task, and what it sends first is sent before any other
    task has a turn: they may take theirs while the answer is on its way.
    """
    if on_trio():
        return await call_asyncio(function, *args, **kwargs)
    return await function(*args, **kwargs)


async def _cancelled_once(task: asyncio.Future[R]) -> R:
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True):
            while not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):  # asyncio's own, once more: passed on
                    await asyncio.wait([task])
        if task.cancelled() or task.exception() is None:
            raise
    return task.result()


@asynccontextmanager
async def database_loop() -> AsyncIterator[None]:
    """Keep an asyncio loop open for the database driver while the block runs, in a thread of its own.

    On asyncio it does nothing. A trio program opens it once, around its main function or in the lifespan of its web
    framework: engines and sessions can then be used anywhere in the trio run. Blocks that overlap or are nested share
    one loop. The last to end closes it, whatever ends it, and what then still runs in it is cancelled. Dispose of
    engines before that: their connections belong to the loop.
    """
    if not on_trio():
        yield
        return
    from gw_sqla.loop_thread import open_loop

    async with open_loop():
        yield


def before_loop_closes(function: Callable[[], Awaitable[object]]) -> None:
    """On trio: have an asyncio coroutine function called, once, when the open `database_loop` closes."""
    if on_trio():
        _trio_loop().at_end.add(function)


def in_this_loop(function: Callable[P, object]) -> Callable[P, object]:
    """Return what has the function called soon in the caller's event loop: for callbacks of the driver.

    On asyncio that is the function itself.
    """
    return _trio_loop().calling_back(function) if on_trio() else function


def _trio_loop() -> LoopThread:
    from gw_sqla.loop_thread import current_loop

    if loop := current_loop():
        return loop
    raise LoopError(
        "no asyncio loop is open for the database driver: wrap the program's main function in "
        "'async with gw_sqla.database_loop():' (a Runner opens one for its own tasks)"
    )
