"""Databases in which everything is hostile that others could make, and a role that works in them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import get_args

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import AsyncSession, async_sessionmaker
from gw_sqla.database.event_loops import call_asyncio, database_loop
from gw_sqla.schema.grants import grants
from gw_sqla.schema.rights import MIGRATOR, RoleKind
from tests.schema.test_grants import RUST
from tests.security.hostile import called, plant, silence, watch
from tests.security.sessions import Resolved, hostile_engine
from tests.security.sql_texts import function_names
from tests.support.server import Server, connect, execute

Sessions = async_sessionmaker[AsyncSession]

ROLE = f"gw_sqla_victim_{os.getpid()}"


@pytest.fixture(scope="session")
def victim(server: Server) -> Iterator[str]:
    """A role that is no superuser, without rights."""
    server.execute(f"create role {ROLE}")
    yield ROLE
    server.execute(f"drop role {ROLE}")


@pytest.fixture(scope="module", params=["public", "role"])
def place(request: pytest.FixtureRequest, victim: str) -> str:
    """The schema with the hostile objects: others may create in ``public`` before PostgreSQL 15, and in one with the
    role's name who may create schemas."""
    return victim if request.param == "role" else "public"


@pytest.fixture(scope="module")
def hostile_database(server: Server, template: str, victim: str, place: str) -> Iterator[str]:
    """A migrated database, with Rust's tables, and with hostile objects; in it the role may do all but migrate."""
    url = server.create_database(template)
    kinds = [kind for kind in get_args(RoleKind) if kind != MIGRATOR]
    asyncio.run(execute(url, RUST))
    asyncio.run(_prepare(url, place, ["\n".join(grants(victim, as_=kind)) for kind in kinds]))
    yield url
    asyncio.run(execute(url, f"drop owned by {victim} cascade"))
    server.drop_database(url)


@pytest.fixture(scope="module")
def hostile_empty_database(server: Server, victim: str, place: str) -> Iterator[str]:
    """The same without a worker schema, which the role may make."""
    url = server.create_database()
    name = url.rsplit("/", 1)[1].split("?")[0]
    asyncio.run(_prepare(url, place, [f'grant create on database "{name}" to {victim}'], worker_schema=False))
    yield url
    asyncio.run(execute(url, f"drop owned by {victim} cascade"))
    server.drop_database(url)


async def _prepare(url: str, place: str, rights: list[str], *, worker_schema: bool = True) -> None:
    db = await connect(url)
    try:
        await watch(db)
        for statements in rights:
            async with db.transaction():
                await db.execute(statements)
        await plant(db, place, function_names(), worker_schema=worker_schema)
    finally:
        await db.close()


@pytest.fixture
def resolved() -> Resolved:
    """What the names in the victim's SQL were resolved to."""
    return Resolved()


@pytest.fixture
def watched(hostile_database: str, place: str, resolved: Resolved) -> Iterator[str]:
    """The hostile database, emptied; at the end nothing hostile may have been called, or named by a statement."""
    asyncio.run(_start(hostile_database))
    yield hostile_database
    asyncio.run(assert_unharmed(hostile_database, place, resolved))


async def _start(url: str) -> None:
    db = await connect(url)
    tables = (
        "jobs",
        "job_queues",
        "tasks",
        "known_crontabs",
        "sqla_workers",
        "sqla_forwarded",
        "sqla_snoozes",
        "sqla_pauses",
        "sqla_upkeep",
        "sqla_removed",
    )
    await db.execute(f"truncate {', '.join(f'graphile_worker._private_{table}' for table in tables)} cascade")
    await silence(db)
    await db.close()


async def assert_unharmed(url: str, place: str, resolved: Resolved) -> None:
    """Fail where something hostile was called, or is what a statement means."""
    db = await connect(url)
    try:
        assert await called(db) is None
        assert await resolved.hostile(db, place) == {}
    finally:
        await db.close()


@pytest.fixture
async def victims(watched: str, victim: str, resolved: Resolved, anyio_backend: str) -> AsyncIterator[AsyncEngine]:
    """The victim's engine."""
    async with database_loop():
        engine = hostile_engine(watched, victim, resolved)
        yield engine
        await call_asyncio(engine.dispose)


@pytest.fixture
async def superuser(watched: str, victims: AsyncEngine) -> AsyncIterator[Sessions]:
    """Sessions of a superuser, on a path of its own, for what others have done before."""
    engine = create_async_engine(watched, connect_args={"server_settings": {"search_path": "pg_catalog, pg_temp"}})
    yield async_sessionmaker(engine)
    await call_asyncio(engine.dispose)
