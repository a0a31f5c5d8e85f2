"""Sessions for tests, joined into a transaction that is rolled back: SQLAlchemy's recipe, on both event loops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import Session

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.database.session import AsyncSession

__all__ = ["rolled_back_session", "rolled_back_sync_session"]


@asynccontextmanager
async def rolled_back_session(engine: AsyncEngine, **options: Any) -> AsyncIterator[AsyncSession]:
    """Yield a session whose commits are savepoints of a transaction that is rolled back at the end of the block.

    The options are those of the session. On trio it needs an open `gw_sqla.database_loop`. The rollback is shielded
    from a cancellation.
    """
    connection = await call_asyncio(_begun, engine)
    try:
        options.setdefault("expire_on_commit", False)
        async with AsyncSession(connection, join_transaction_mode="create_savepoint", **options) as session:
            yield session
    finally:
        with anyio.CancelScope(shield=True):
            await call_asyncio(connection.close)


async def _begun(engine: AsyncEngine) -> AsyncConnection:
    connection = await engine.connect()
    await connection.begin()
    return connection


@contextmanager
def rolled_back_sync_session(engine: Engine, **options: Any) -> Iterator[Session]:
    """Yield the same for sync code."""
    with engine.connect() as connection:
        connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint", **options) as session:
            yield session
