"""The one seam between the event loop that runs gw_sqla and the asyncio that the driver speaks.

asyncpg and SQLAlchemy's asyncio extension await asyncio futures only. Everything else here is
written in anyio and runs natively on asyncio and on trio. Whatever must await the driver goes
through `call_asyncio`, which runs the coroutine as an asyncio task: in the running loop on asyncio,
in a loop that has a thread of its own on trio (`gw_sqla.database.trio_loop_thread`). Exceptions and cancellation pass
through.

Why a task on asyncio too: anyio cancels by level, at every await again, and asyncpg needs a few
awaits to tell the server that a query is cancelled. Awaited directly, the connection was dropped
instead, and the query went on in the server with its locks. The task is cancelled once, and waited
for; it costs some ten microseconds a call, and a turn of the event loop. What is shielded from anyio's cancellation
goes without: `call_asyncio_shielded`. So do a session's statements, of which a handler has a few for each job: their
coroutine is stepped through by the caller's task, which shields it once it has been given a cancellation
(`call_session`).

Rejected: an abstract driver with one implementation for each event loop (twice the code, half the tests).
"""

from __future__ import annotations

import asyncio
import math
import sys
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import anyio
import anyio.lowlevel

from gw_sqla.errors import LoopError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from gw_sqla.database.trio_loop_thread import LoopThread

__all__ = [
    "call_asyncio",
    "call_asyncio_shielded",
    "call_session",
    "database_loop",
    "dispose_with_loop",
    "driver_callback",
    "on_trio",
    "require_loop",
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
    `database_loop` is open, or when it closes during the call.
    """
    if not on_trio():
        return await _cancelled_once(asyncio.ensure_future(function(*args, **kwargs)))
    return await _loop_thread().call(function, *args, **kwargs)


async def call_asyncio_shielded(function: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
    """`call_asyncio` for callers inside a shielded scope without a deadline: no cancellation by level reaches them.

    What it sends first is sent before any other task has a turn: they may take theirs while the answer is on its way.
    On asyncio the coroutine is awaited as it is, which saves a task.
    """
    if on_trio():
        return await _loop_thread().call_at_once(function, *args, **kwargs)
    return await function(*args, **kwargs)


async def call_session(function: Callable[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs) -> R:
    """`call_asyncio` for coroutine functions that enter no scope of anyio's, as the driver's and SQLAlchemy's do not.

    On asyncio it takes no task. A cancellation is given to the function once, as there.
    """
    if on_trio():
        return await _loop_thread().call(function, *args, **kwargs)
    await anyio.lowlevel.checkpoint_if_cancelled()
    return await _stepped(function(*args, **kwargs))


@types.coroutine
def _stepped(coroutine: Coroutine[Any, Any, R]) -> Generator[Any, None, R]:
    """Await a coroutine; from the first cancellation by a scope of anyio's on it is shielded, and ends in that."""
    error: BaseException | None = None
    cancellation: asyncio.CancelledError | None = None
    shield = anyio.CancelScope(shield=True)
    try:
        while True:
            try:
                waits_for = coroutine.send(None) if error is None else coroutine.throw(error)
            except StopIteration as end:
                if cancellation is None:
                    return end.value  # type: ignore[no-any-return]
                raise cancellation from None
            error = None
            try:
                yield waits_for
            except asyncio.CancelledError as cancelled:
                error = cancelled
                if cancellation is None and anyio.current_effective_deadline() == -math.inf:
                    cancellation = cancelled
                    shield.__enter__()
            except BaseException as other:
                error = other
    finally:
        if cancellation is not None:
            shield.__exit__(*sys.exc_info())
        del error, cancellation


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


def database_loop() -> AbstractAsyncContextManager[None]:
    """Return a context manager that keeps an asyncio loop open for the database driver, in a thread of its own.

    On asyncio it does nothing. A trio program opens it once, around its main function or in the lifespan of its web
    framework: while it is open, every task of the trio run may use engines and sessions. Blocks that overlap or are
    nested share one loop. The last to end closes it, whatever ends it, and what then still runs in it is cancelled: a
    call gets LoopError. Dispose of engines before that: their connections belong to the loop. (Of a Runner's engine it
    disposes by itself, and raises what that raises.)
    """
    if not on_trio():
        return nullcontext()
    from gw_sqla.database.trio_loop_thread import LoopBlock

    return LoopBlock()


def require_loop() -> None:
    """Raise LoopError on trio when no `database_loop` is open."""
    if on_trio():
        _loop_thread()


def dispose_with_loop(engine: AsyncEngine) -> None:
    """On trio: dispose of the engine when the open `database_loop` closes. Raises LoopError when none is open."""
    if on_trio():
        _loop_thread().engines.add(engine)


def driver_callback(function: Callable[P, object]) -> Callable[P, object]:
    """Return a function for the driver to call, in whatever thread: ``function`` is called in the caller's event loop.

    On trio it is called soon, without a result, and must not raise: that would end the trio run. On asyncio it is
    ``function`` itself. Raises LoopError on trio when no `database_loop` is open.
    """
    return _loop_thread().callback(function) if on_trio() else function


def _loop_thread() -> LoopThread:
    from gw_sqla.database.trio_loop_thread import current_loop_thread

    if found := current_loop_thread():
        return found
    raise LoopError(
        "no asyncio loop is open for the database driver: wrap the program's main function in "
        "'async with gw_sqla.database_loop():' (a Runner opens one for its own tasks)"
    )
