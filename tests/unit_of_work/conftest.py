"""Fixtures for the ORM's side: every kind of session, on every driver and event loop, behind one call.

A test's body is a function of a Session, as a user's ORM events and sync code are. It is run in a sync session, or in
an AsyncSession by ``run_sync``: commits, flushes and events are the real ones of that kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session

from gw_sqla import AsyncSession, JobRepository, SyncJobRepository, call_asyncio, database_loop
from gw_sqla.types import DEFAULT_SCHEMA
from tests.repository.look import Look, open_look
from tests.support.housekeeper import Housekeeper
from tests.support.server import Server, execute
from tests.unit_of_work.application import TABLES

KINDS = ["asyncio+asyncpg", "trio+psycopg", "sync+psycopg2"]
ALL_KINDS = [*KINDS, "trio+asyncpg", "asyncio+psycopg", "sync+psycopg"]
Run = Callable[..., Awaitable[Any]]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The event loop, or none, and the driver: each once. `test_on_commit` runs on every pair of them."""
    return str(request.param)


@pytest.fixture
def anyio_backend(kind: str) -> str:
    return "trio" if kind.startswith("trio") else "asyncio"


@pytest.fixture(scope="session")
def template(server: Server, template: str) -> str:
    """A migrated database with the application's tables."""
    url = server.create_database(template)
    asyncio.run(execute(url, TABLES))
    return str(make_url(url).database)


@pytest.fixture
def clean_database(clean_database: str, housekeeper: Housekeeper) -> str:
    housekeeper.execute("truncate customers, orders restart identity")
    return clean_database


@pytest.fixture
async def any_engine(clean_database: str, kind: str, anyio_backend: str) -> AsyncIterator[Engine | AsyncEngine]:
    """An engine of the kind; at the end no connection may be checked out."""
    loop, driver = kind.split("+")
    url = make_url(clean_database).set(drivername=f"postgresql+{driver}")
    async with database_loop():
        engine: Any = create_engine(url) if loop == "sync" else create_async_engine(url)
        yield engine
        assert engine.pool.checkedout() == 0, "a connection was left checked out"
        if loop == "sync":
            engine.dispose()
        else:
            await call_asyncio(engine.dispose)


@pytest.fixture
def run(any_engine: Engine | AsyncEngine) -> Run:
    """Runs a function of a Session in a new session, closed at its end; keywords are the session's options."""

    async def call(body: Callable[[Session], Any], **options: Any) -> Any:
        if isinstance(any_engine, Engine):
            with Session(any_engine, **options) as session:
                return body(session)
        async with AsyncSession(any_engine, **options) as session:
            return await session.run_sync(body)

    return call


@pytest.fixture
def repo(any_engine: Engine | AsyncEngine) -> JobRepository | SyncJobRepository:
    return SyncJobRepository() if isinstance(any_engine, Engine) else JobRepository()


@pytest.fixture
async def look(any_engine: Engine | AsyncEngine, clean_database: str) -> AsyncIterator[Look]:
    """A bare connection, beside the engine under test."""
    async with open_look(clean_database, DEFAULT_SCHEMA) as opened:
        yield opened
