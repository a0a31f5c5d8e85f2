"""What the kit's tests share: sessions of tests, on each event loop and driver, whose transaction is rolled back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import AsyncSession, JobRepository, TaskRegistry, call_asyncio, database_loop
from gw_sqla.testing import JobTester, rolled_back_session

KINDS = ["asyncio+asyncpg", "asyncio+psycopg", "trio+asyncpg", "trio+psycopg"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The event loop and the driver."""
    return str(request.param)


@pytest.fixture
def anyio_backend(kind: str) -> str:
    return kind.split("+", maxsplit=1)[0]


@pytest.fixture
def tasks() -> TaskRegistry:
    return TaskRegistry()


@pytest.fixture
def repo() -> JobRepository:
    return JobRepository()


@pytest.fixture
async def kit_engine(clean_database: str, kind: str, anyio_backend: str) -> AsyncIterator[AsyncEngine]:
    async with database_loop():
        driver = kind.split("+")[1]
        engine = create_async_engine(make_url(clean_database).set(drivername=f"postgresql+{driver}"))
        yield engine
        pool: Any = engine.pool
        assert pool.checkedout() == 0
        await call_asyncio(engine.dispose)


@pytest.fixture
async def session(kit_engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """The test's session, with a table for handlers to write to."""
    async with rolled_back_session(kit_engine) as session:
        await session.execute(text("create table notes (note text)"))
        await session.commit()
        yield session


@pytest.fixture
async def jobs(session: AsyncSession, tasks: TaskRegistry) -> AsyncIterator[JobTester]:
    async with JobTester(session, tasks) as jobs:
        yield jobs


async def notes(session: AsyncSession) -> list[str]:
    return list(await session.scalars(text("select note from notes order by note")))
