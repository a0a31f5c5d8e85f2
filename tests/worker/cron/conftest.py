"""What the tests of the scheduler share: looking at known crontabs and jobs from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import asyncpg
import pytest

from gw_sqla import call_asyncio
from tests.support.server import connect

Fetch = Callable[..., Awaitable[list[asyncpg.Record]]]
MakeKnown = Callable[..., Awaitable[None]]
Jobs = Callable[[], Awaitable[list[tuple[str, str, bool]]]]

_JOBS = """
    select task_identifier, payload #>> '{_cron,ts}' as ts, payload #>> '{_cron,backfilled}' = 'true' as backfilled
    from graphile_worker.jobs join graphile_worker._private_jobs using (id) order by id
"""


@pytest.fixture
def fetch(clean_database: str) -> Fetch:
    """Run plain SQL on a connection of its own."""

    async def in_asyncio(sql: str, arguments: tuple[Any, ...]) -> list[asyncpg.Record]:
        connection = await connect(clean_database)
        try:
            return await connection.fetch(sql, *arguments)
        finally:
            await connection.close()

    async def fetch(sql: str, *arguments: Any) -> list[asyncpg.Record]:
        return await call_asyncio(in_asyncio, sql, arguments)

    return fetch


@pytest.fixture
def jobs(fetch: Fetch) -> Jobs:
    """The jobs in the order in which they were added: task, minute (without the seconds), whether backfilled."""

    async def jobs() -> list[tuple[str, str, bool]]:
        return [
            (row["task_identifier"], row["ts"].removesuffix(":00.000Z"), row["backfilled"])
            for row in await fetch(_JOBS)
        ]

    return jobs


@pytest.fixture
def make_known(fetch: Fetch) -> MakeKnown:
    """Let an identifier be known."""

    async def make_known(identifier: str, since: datetime, last: datetime | None = None) -> None:
        await fetch("insert into graphile_worker._private_known_crontabs values ($1, $2, $3)", identifier, since, last)

    return make_known
