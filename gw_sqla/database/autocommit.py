"""Whether connections commit each statement by itself: then no transaction holds what gw_sqla promises of one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.event_loops import call_asyncio

__all__ = ["connects_in_autocommit", "is_autocommit"]


def is_autocommit(connection: Connection) -> bool:
    """Tell whether the connection is in AUTOCOMMIT, whoever said so; asks no server."""
    driver: Any = connection.connection.dbapi_connection
    return getattr(driver, "autocommit", False) is True


async def connects_in_autocommit(engine: AsyncEngine) -> bool:
    """Tell whether the engine's connections are. Raises what connecting raises."""
    return await call_asyncio(_look, engine)


async def _look(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        return await connection.run_sync(is_autocommit)
