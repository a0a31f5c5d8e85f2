"""Waiting for what another connection or task does, without guessing how long it takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import asyncpg

from gw_sqla.database.event_loops import call_asyncio

BLOCKED = "select coalesce(bool_and(cardinality(pg_blocking_pids(pid)) > 0), false) from unnest($1::int[]) as pid"
BLOCKER = "select count(*) > 0 from pg_stat_activity where $1 = any(pg_blocking_pids(pid))"


async def until(true: Callable[[], Awaitable[object]]) -> None:
    """Return as soon as the condition holds; fail after ten seconds."""
    with anyio.fail_after(10):
        while True:
            if await true():
                return
            await anyio.sleep(0.005)


async def until_blocked(watcher: asyncpg.Connection, *waiting: asyncpg.Connection) -> None:
    """Return when PostgreSQL reports that each of the connections waits for a lock."""
    pids = [connection.get_server_pid() for connection in waiting]
    await until(lambda: call_asyncio(watcher.fetchval, BLOCKED, pids))


async def until_blocking(watcher: asyncpg.Connection, holder: asyncpg.Connection) -> None:
    """Return when somebody waits for a lock that the connection holds."""
    await until(lambda: call_asyncio(watcher.fetchval, BLOCKER, holder.get_server_pid()))


class Heard:
    """The payloads that a connection gets on a channel."""

    def __init__(self, connection: asyncpg.Connection, channel: str) -> None:
        self.connection = connection
        self.channel = channel
        self.payloads: list[str] = []

    async def start(self) -> None:
        """Listen."""
        await call_asyncio(self.connection.add_listener, self.channel, self._add)

    def _add(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self.payloads.append(str(payload))

    async def all(self) -> list[str]:
        """Return everything that was committed before this call."""
        await call_asyncio(self.connection.execute, f"select pg_notify('{self.channel}', 'end')")

        async def ended() -> bool:
            return "end" in self.payloads

        await until(ended)
        return self.payloads[: self.payloads.index("end")]
