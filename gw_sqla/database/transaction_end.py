"""The end of a session's transaction, bounded in time whatever the network does.

A clean-up (a rollback, the closing of a session) is not cancelled, so that a cancelled block rolls back before it is
left; it has some seconds. A connection that does not answer by then is dropped, which ends its transaction on the
server too. A commit is given longer, as only its answer tells what became of it: a TimeoutError says that none came. A
cancellation waits for that answer, but for no more than some seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel

__all__ = ["CANCELLED_COMMIT_SECONDS", "CLEAN_UP_SECONDS", "commit_patiently", "end_in_time"]

log = logging.getLogger(__name__)

CLEAN_UP_SECONDS = 5.0
"""How long the end of a transaction without a commit may take, and the closing of a session."""

COMMIT_SECONDS = 60.0
"""How long a commit may take."""

CANCELLED_COMMIT_SECONDS = 5.0
"""How long a commit may hold up a cancellation."""


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


async def commit_patiently(commit: Callable[[], Awaitable[Any]]) -> None:
    """Commit; a cancellation waits some seconds for the answer, no more, and where there is one, until after this.

    Raises what the commit raises; TimeoutError where a cancellation has ended it by something else than its scope.
    """
    is_committed = False
    error: Exception | None = None
    try:
        async with anyio.create_task_group() as watching:
            with anyio.CancelScope(shield=True) as commit_scope:
                watching.start_soon(_bound_when_cancelled, commit_scope)
                try:
                    await commit()
                    is_committed = True
                except Exception as raised:  # not in a group
                    error = raised
            watching.cancel_scope.cancel()
    except anyio.get_cancelled_exc_class():
        if not is_committed and error is None:
            raise
    if error is not None:
        raise error
    if not is_committed:
        await anyio.lowlevel.checkpoint_if_cancelled()
        raise TimeoutError("the commit was not answered")


async def _bound_when_cancelled(scope: anyio.CancelScope) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        scope.deadline = anyio.current_time() + CANCELLED_COMMIT_SECONDS
