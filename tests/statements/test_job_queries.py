"""Making task identifiers known: adds what is missing, wastes no identity value, deadlocks with nobody."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gw_sqla.statements.job_queries import register_tasks
from gw_sqla.types import DEFAULT_SCHEMA

pytestmark = pytest.mark.anyio


async def register(connection: AsyncConnection, identifiers: Sequence[str]) -> None:
    await connection.execute(register_tasks(DEFAULT_SCHEMA), {"identifiers": identifiers})


async def known(db: asyncpg.Connection) -> dict[str, int]:
    rows = await db.fetch("select identifier, id from graphile_worker._private_tasks")
    return {row["identifier"]: row["id"] for row in rows}


async def test_adds_what_is_missing(engine: AsyncEngine, db: asyncpg.Connection) -> None:
    async with engine.begin() as connection:
        await register(connection, ["b"])
    before = await known(db)
    async with engine.begin() as connection:
        await register(connection, ["a", "b", "c"])
        await register(connection, ["a", "b", "c"])
        await register(connection, [])
    after = await known(db)
    assert after.keys() == {"a", "b", "c"}
    assert after["b"] == before["b"]
    assert max(after.values()) == before["b"] + 2, "identity values were wasted"


async def test_inserts_in_the_order_of_the_names(engine: AsyncEngine, db: asyncpg.Connection) -> None:
    """So that two workers with the same tasks, listed differently, cannot deadlock."""
    async with engine.begin() as connection:
        await register(connection, ["c", "a", "b"])
    found = await known(db)
    assert sorted(found, key=lambda name: found[name]) == ["a", "b", "c"]
