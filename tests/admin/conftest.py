"""Fixtures for Admin: a door of either kind, on both event loops; a bare connection beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, async_sessionmaker
from gw_sqla.types import DEFAULT_SCHEMA
from tests.admin.door import Door
from tests.repository.look import Look, open_look


@pytest.fixture(params=["asyncio", "trio", "sync"])
def kind(request: pytest.FixtureRequest) -> str:
    """An AsyncSession on either event loop, or a Session."""
    return str(request.param)


@pytest.fixture
def anyio_backend(kind: str) -> str:
    return "trio" if kind == "trio" else "asyncio"


@pytest.fixture
def sync_engine(clean_database: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(sa.make_url(clean_database).set(drivername="postgresql+psycopg"))
    yield engine
    engine.dispose()


@pytest.fixture
def door(kind: str, engine: AsyncEngine, sessions: async_sessionmaker[AsyncSession], sync_engine: sa.Engine) -> Door:
    return Door(sessions, sync_engine if kind == "sync" else None, DEFAULT_SCHEMA)


@pytest.fixture
async def look(engine: AsyncEngine, clean_database: str) -> AsyncIterator[Look]:
    """A bare connection, beside the engine under test."""
    async with open_look(clean_database, DEFAULT_SCHEMA) as opened:
        yield opened
