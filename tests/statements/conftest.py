"""Fixtures for the statements on a real PostgreSQL; asyncio is enough, they know nothing of event loops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.statements.pool import Pool, open_pool
from tests.support.server import connect

Add = Callable[..., Awaitable[int]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def db(clean_database: str, anyio_backend: str) -> AsyncIterator[asyncpg.Connection]:
    """A bare connection in autocommit, to set things up and to look at them."""
    connection = await connect(clean_database)
    yield connection
    await connection.close()


@pytest.fixture
async def pool(engine: AsyncEngine) -> AsyncIterator[Pool]:
    async with open_pool(engine, "pool-1") as opened:
        yield opened


@pytest.fixture
async def rival(engine: AsyncEngine) -> AsyncIterator[Pool]:
    async with open_pool(engine, "pool-2") as opened:
        yield opened


@pytest.fixture
def add(db: asyncpg.Connection) -> Add:
    """Adds a job of task ``a`` with the function's arguments and returns its id."""

    async def call(**arguments: Any) -> int:
        named = "".join(f", {name} := ${number}" for number, name in enumerate(arguments, 1))
        sql = f"select id from graphile_worker.add_job('a'{named})"
        return int(await db.fetchval(sql, *arguments.values()))

    return call
