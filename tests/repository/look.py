"""A bare asyncpg connection for tests on both event loops: sets things up, looks at them, listens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import asyncpg

from gw_sqla.database.event_loops import call_asyncio, driver_callback
from gw_sqla.statements.quoting import quoted
from tests.support.server import connect


class Look:
    """Runs SQL in autocommit, independent of SQLAlchemy; ``{s}`` in it is the quoted schema."""

    def __init__(self, connection: asyncpg.Connection, url: str, schema: str) -> None:
        self.connection = connection
        self.url = url
        self.schema = quoted(schema)

    async def execute(self, sql: str, *arguments: Any) -> str:
        return await call_asyncio(self.connection.execute, sql.replace("{s}", self.schema), *arguments)

    async def value(self, sql: str, *arguments: Any) -> Any:
        return await call_asyncio(self.connection.fetchval, sql.replace("{s}", self.schema), *arguments)

    async def rows(self, sql: str, *arguments: Any) -> list[dict[str, Any]]:
        found = await call_asyncio(self.connection.fetch, sql.replace("{s}", self.schema), *arguments)
        return [dict(row) for row in found]

    async def jobs(self) -> dict[int, dict[str, Any]]:
        """Every committed job, by its id."""
        return {row["id"]: row for row in await self.rows("select * from {s}._private_jobs")}

    async def lock(self, job_id: int, *, since: str = "now()") -> None:
        """Let a worker pool ``pool-1`` have the job, in its first attempt."""
        await self.execute(
            "update {s}._private_jobs set attempts = 1, locked_by = 'pool-1', locked_at = " + since + " where id = $1",
            job_id,
        )

    @asynccontextmanager
    async def notifications(self) -> AsyncIterator[list[dict[str, Any]]]:
        """Gather what is sent on ``jobs:insert`` during the block; complete when it ends."""
        heard: list[dict[str, Any]] = []
        end = anyio.Event()
        set_end = driver_callback(end.set)

        def hear(_connection: object, _pid: int, _channel: str, payload: object) -> None:
            if payload == "end":
                set_end()
            else:
                heard.append(json.loads(str(payload)))

        async with open_look(self.url, "") as listener:
            await call_asyncio(listener.connection.add_listener, "jobs:insert", hear)
            yield heard
            await listener.execute("select pg_notify('jobs:insert', 'end')")
            with anyio.fail_after(10):
                await end.wait()


@asynccontextmanager
async def open_look(url: str, schema: str) -> AsyncIterator[Look]:
    connection = await call_asyncio(connect, url)
    try:
        yield Look(connection, url, schema)
    finally:
        await call_asyncio(connection.close)
