"""The one seam between the event loop that runs gw_sqla and the asyncio that the driver speaks.

asyncpg and SQLAlchemy's asyncio extension await asyncio futures only. Everything else here is
written in anyio and runs natively on asyncio and on trio. Whatever must await the driver goes
through `call_asyncio`, which runs the coroutine as an asyncio task: in the running loop on asyncio,
in a trio-asyncio loop that lives in the same thread on trio. Exceptions and cancellation pass through.

Why a task on asyncio too: anyio cancels by level, at every await again, and asyncpg needs a few
awaits to tell the server that a query is cancelled. Awaited directly, the connection was dropped
instead, and the query went on in the server with its locks. The task is cancelled once, and waited
for; it costs some ten microseconds a call, and a turn of the event loop. The claim, which is shielded
from anyio's cancellation, goes without: `call_asyncio_shielded`.

Rejected: a driver thread (every query pays two thread switches, cancellation needs a protocol) and
an abstract driver with one implementation for each event loop (twice the code, half the tests).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, ParamSpec, TypeVar

import anyio

from gw_sqla.errors import LoopError

__all__ = ["call_asyncio", "call_asyncio_shielded", "database_loop", "needs_loop", "on_trio"]

P = ParamSpec("P")
R = TypeVar("R")


def on_trio() -> bool:
    """Tell whether the caller runs in trio's own flavour (False inside trio-asyncio's tasks)."""
    sniffio = sys.modules.get("sniffio")  # trio brings it: without it nobody runs trio here
    if sniffio is None:
        return False
    try:
        return bool(sniffio.current_async_library() == "trio")
    except sniffio.AsyncLibraryNotFoundError:
        return False


def needs_loop() -> bool:
    """Tell whether the caller runs on trio with no asyncio loop open for the driver."""
    return on_trio() and _trio_asyncio().current_loop.get() is None


async def call_asyncio(function: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call an asyncio coroutine function and await it, on asyncio or on trio.

    Returns and raises what the function does. A cancellation cancels the call, once, and waits until
    it has cleaned up; one that comes as the call ends drops its result, so what must be closed is kept
    where the caller can reach it. Raises LoopError on trio when no `database_loop` is open.
    """
    if not on_trio():
        return await _cancelled_once(asyncio.ensure_future(function(*args, **kwargs)))
    if needs_loop():
        raise LoopError(
            "no asyncio loop is open for the database driver: wrap the program's main function in "
            "'async with gw_sqla.database_loop():' (a Runner opens one for its own tasks)"
        )
    result: R = await _trio_asyncio().aio_as_trio(function)(*args, **kwargs)
    return result


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
        if not task.cancelled() and (error := task.exception()):
            raise error from None
        raise
    return task.result()


@asynccontextmanager
async def database_loop() -> AsyncIterator[None]:
    """Keep an asyncio loop open for the database driver while the block runs.

    On asyncio, and on trio inside another such block, it does nothing. A trio service opens it once
    around its main function, so that engines and sessions can be used anywhere inside.
    Raises LoopError when trio-asyncio is not installed. A cancellation closes the loop.
    """
    if not needs_loop():
        yield
        return
    async with _trio_asyncio().open_loop():
        yield


def _trio_asyncio() -> Any:  # trio-asyncio has no types
    """Import trio-asyncio where it is needed first.

    Its import makes asyncio.run() everywhere in the process use a trio-based loop that cannot run
    what SQLAlchemy does in greenlets. The factory of loops is put back, so that a process that uses
    both event loops, in turn or in threads, has asyncio's own. It also replaces ``asyncio.get_running_loop``,
    of which psycopg keeps a copy if it was imported before: that one is given the replacement too.
    """
    if sys.modules.get("trio_asyncio") is None:
        make_loop = asyncio.new_event_loop
        try:
            import trio_asyncio  # noqa: F401 - for its place in sys.modules
        except ImportError as error:
            raise LoopError("database work on trio needs the extra: pip install 'gw-sqla[trio]'") from error
        asyncio.new_event_loop = asyncio.events.new_event_loop = make_loop
        if psycopg := sys.modules.get("psycopg.waiting"):
            psycopg.get_running_loop = asyncio.get_running_loop  # type: ignore[attr-defined]
    return sys.modules["trio_asyncio"]
