"""Migrators at the same time, on both event loops, and what has a name that they need."""

from __future__ import annotations

from collections import Counter

import anyio
import asyncpg
import pytest
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.errors import SchemaError
from gw_sqla.schema.migration_lock import lock_sql
from gw_sqla.schema.migration_report import MigrationReport
from gw_sqla.schema.migrations import migrate, migration_sql
from tests.schema.catalog import read_at
from tests.schema.waiting import until_blocking
from tests.support.server import execute

pytestmark = pytest.mark.anyio


async def test_twenty_at_once(empty_database: str, empty_engine: AsyncEngine) -> None:
    """Each with its own connection; one creates the schema, all return."""
    actions: list[str] = []

    async def one() -> None:
        engine = create_async_engine(empty_database, poolclass=NullPool)
        actions.append((await migrate(engine)).action)
        await call_asyncio(engine.dispose)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(one)
    assert Counter(actions) == {"created": 1, "unchanged": 19}


async def test_takes_turns(empty_engine: AsyncEngine, peer: asyncpg.Connection, watcher: asyncpg.Connection) -> None:
    """What another migrator commits before it gives the lock away is seen."""
    reports: list[MigrationReport] = []

    async def ours() -> None:
        reports.append(await migrate(empty_engine))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            await call_asyncio(peer.execute, f"begin; {lock_sql('graphile_worker')}")
            group.start_soon(ours)
            await until_blocking(watcher, peer)
            script = migration_sql().replace("BEGIN;", "").replace("COMMIT;", "")
            await call_asyncio(peer.execute, f"{script}; commit")
    assert [report.action for report in reports] == ["unchanged"]


@pytest.mark.parametrize("level", ["AUTOCOMMIT", "SERIALIZABLE"])
async def test_isolation_of_the_engine_does_not_matter(
    empty_database: str, empty_engine: AsyncEngine, level: str
) -> None:
    actions: list[str] = []
    await call_asyncio(
        execute, empty_database, "alter role current_user set default_transaction_isolation = 'serializable'"
    )

    async def one() -> None:
        engine = create_async_engine(empty_database, poolclass=NullPool, isolation_level=level)
        actions.append((await migrate(engine)).action)
        await call_asyncio(engine.dispose)

    try:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(one)
    finally:
        await call_asyncio(execute, empty_database, "alter role current_user reset default_transaction_isolation")
    assert Counter(actions) == {"created": 1, "unchanged": 3}


async def test_loses_the_race_for_the_schema(
    empty_engine: AsyncEngine, peer: asyncpg.Connection, watcher: asyncpg.Connection
) -> None:
    """Somebody commits the same schema while migrate waits for it (23505): rolled back and looked at again."""
    reports: list[MigrationReport] = []

    async def ours() -> None:
        reports.append(await migrate(empty_engine))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            await call_asyncio(peer.execute, "begin; create schema graphile_worker")
            group.start_soon(ours)
            await until_blocking(watcher, peer)
            await call_asyncio(peer.execute, "commit")
    assert [report.action for report in reports] == ["created"]


async def test_foreign_object_with_a_name_of_ours(empty_engine: AsyncEngine, empty_database: str) -> None:
    await call_asyncio(execute, empty_database, "create schema graphile_worker create table jobs (id int)")
    before = await call_asyncio(read_at, empty_database)
    with anyio.fail_after(30), pytest.raises(SchemaError, match='"jobs" already exists'):
        await migrate(empty_engine)
    assert await call_asyncio(read_at, empty_database) == before
