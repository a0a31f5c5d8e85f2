"""Queries that sleep on the server, to be cancelled there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from tests.repository.look import Look

__all__ = ["cancel_while_asleep", "until_asleep"]

ASLEEP = "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and wait_event = 'PgSleep'"
"""Not those that are about to sleep: a server forgets a cancellation that reaches it between two messages."""


async def until_asleep(look: Look, asleep: int) -> None:
    """Wait until so many queries sleep on the server."""
    with anyio.fail_after(20):
        while True:
            if await look.value(ASLEEP) == asleep:
                return
            await anyio.sleep(0.01)


async def cancel_while_asleep(look: Look, work: Callable[[], Awaitable[Any]]) -> None:
    """Run the work, which comes to a sleep on the server, and cancel it there."""
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            await until_asleep(look, 1)
            scope.cancel()

        with anyio.CancelScope() as scope:
            group.start_soon(watch)
            await work()
        assert scope.cancelled_caught
    await until_asleep(look, 0)
