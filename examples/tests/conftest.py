"""A session in a transaction that is rolled back, around which the fixture ``jobs`` is made.

pip install pytest 'gw-sqla[embedded,trio]'
pytest examples/tests
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gw_sqla import AsyncSession, async_sessionmaker, call_asyncio, database_loop
from gw_sqla.testing import rolled_back_session

Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture
async def engine(gw_sqla_database: str, anyio_backend: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the database that the plugin of gw_sqla makes."""
    async with database_loop():
        engine = create_async_engine(gw_sqla_database)
        yield engine
        await call_asyncio(engine.dispose)


@pytest.fixture
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """The test's session."""
    async with rolled_back_session(engine) as session:
        yield session


@pytest.fixture
def sessions(session: AsyncSession) -> Sessions:
    """Makes sessions for the application: others than the test's, in the same transaction."""
    assert isinstance(session.bind, AsyncConnection)
    return async_sessionmaker(session.bind, expire_on_commit=False, join_transaction_mode="create_savepoint")
