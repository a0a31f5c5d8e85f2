"""The end of a session's transaction, bounded in time whatever the network does.

A clean-up (a rollback, the closing of a session) is not cancelled, so that a cancelled block rolls back before it is
left; it has some seconds. A connection that does not answer by then is dropped, which ends its transaction on the
server too. A commit is given longer, as only its answer tells what became of it: a TimeoutError says that none came. A
cancellation waits for that answer, but for no more than some seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import anyio.lowlevel

from gw_sqla.database.event_loops import call_asyncio, call_session

__all__ = ["CANCELLED_COMMIT_SECONDS", "CLEAN_UP_SECONDS", "commit_patiently", "end_in_time"]

log = logging.getLogger(__name__)

CLEAN_UP_SECONDS = 5.0
"""How long the end of a transaction without a commit may take, and the closing of a session."""

COMMIT_SECONDS = 60.0
"""How long a commit may take."""

CANCELLED_COMMIT_SECONDS = 5.0
"""How long a commit may hold up a cancellation."""

_UNWATCHED_SECONDS = 0.05
"""How long a commit goes without anybody who looks for a cancellation."""


async def end_in_time(method: Callable[..., Awaitable[Any]], *args: Any, is_clean_up: bool, **kwargs: Any) -> Any:
    """In asyncio: end a transaction or a session. A clean-up that takes too long is given up, with its connection.

    SQLAlchemy drops a connection in the middle of whose rollback it is cancelled.
    """
    limit = asyncio.timeout(CLEAN_UP_SECONDS if is_clean_up else COMMIT_SECONDS)
    try:
        async with limit:
            return await method(*args, **kwargs)
    except TimeoutError:
        if not (is_clean_up and limit.expired()):
            raise
        log.warning("a session's connection did not answer for %g s at its end, and was dropped", CLEAN_UP_SECONDS)


async def commit_patiently(commit: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Commit, by a coroutine function of asyncio's; a cancellation waits for the answer, but only for some seconds.

    Where there is an answer the cancellation comes after this. Raises what the commit raises; TimeoutError where
    something else than its scope has cancelled it. Most commits are answered before it would pay to watch for a
    cancellation: that costs a quarter of a small transaction.
    """
    pending = await _begun_shielded(commit)
    if not pending.done():
        await _watched(pending)
    if pending.cancelled():
        await anyio.lowlevel.checkpoint_if_cancelled()
        raise TimeoutError("the commit was not answered")
    pending.result()


async def _begun_shielded(commit: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
    with anyio.CancelScope(shield=True):
        return await call_session(_begun, commit)
    raise AssertionError("nothing cancels this scope")


async def _begun(commit: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
    """In asyncio: return the task that commits, when it has ended or goes on for longer than most."""
    pending = asyncio.create_task(commit())
    try:
        await asyncio.wait([pending], timeout=_UNWATCHED_SECONDS)
    except asyncio.CancelledError:  # asyncio's own, which no shield stops
        await _cancelled(pending)
        raise
    return pending


async def _watched(pending: asyncio.Task[Any]) -> None:
    """Wait for the end of the commit; when the caller is cancelled, not for long."""
    is_answered = False
    try:
        async with anyio.create_task_group() as watching:
            with anyio.CancelScope(shield=True) as commit_scope:
                watching.start_soon(_bound_when_cancelled, commit_scope)
                await call_asyncio(_ended, pending)
                is_answered = True
            watching.cancel_scope.cancel()
    except anyio.get_cancelled_exc_class():
        if not is_answered:
            raise


async def _bound_when_cancelled(scope: anyio.CancelScope) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        scope.deadline = anyio.current_time() + CANCELLED_COMMIT_SECONDS


async def _ended(pending: asyncio.Task[Any]) -> None:
    """In asyncio: wait for the task's end; a cancellation cancels it."""
    try:
        await asyncio.wait([pending])
    except asyncio.CancelledError:
        await _cancelled(pending)
        raise


async def _cancelled(pending: asyncio.Task[Any]) -> None:
    """In asyncio: cancel the task and wait for its end."""
    pending.cancel()
    await asyncio.wait([pending])
    if not pending.cancelled():
        pending.exception()  # taken note of
