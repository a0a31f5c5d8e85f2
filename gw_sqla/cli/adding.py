"""What commands that add jobs share: a look whether that can be done, and the database's time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.session import AsyncSession
from gw_sqla.errors import AccessError, SchemaBehindError
from gw_sqla.schema.check import check_schema

__all__ = ["adding", "database_time"]


@asynccontextmanager
async def adding(engine: AsyncEngine, schema: str) -> AsyncIterator[None]:
    """Raise if no job can be added here; for the lack of a right that adding needs, but not always, when it is refused.

    That error says which right it is, and the remedy.
    """
    lacking: AccessError | None = None
    try:
        await check_schema(engine, schema=schema, as_="adder")
    except AccessError as error:
        lacking = error
    except SchemaBehindError:  # add_job is the same in every schema that can be adopted
        pass
    try:
        yield
    except AccessError as error:
        raise lacking or error from error


async def database_time(session: AsyncSession) -> datetime:
    """Return the transaction's time, from which durations count: this machine's may be another."""
    now: datetime | None = await session.scalar(select(func.pg_catalog.now()))
    assert now is not None
    return now
