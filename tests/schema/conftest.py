"""Fixtures for the tests of the schema: databases that are not migrated, and bare connections."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla.database.event_loops import call_asyncio, database_loop
from tests.schema.catalog import Catalog
from tests.schema.peer import VERSIONS, peer_version
from tests.schema.roles import Role, temporary_role
from tests.support.server import Server, connect


@pytest.fixture
def empty_database(server: Server) -> Iterator[str]:
    """The URL of a new database without a worker schema."""
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def migrated_database(server: Server, template: str) -> Iterator[str]:
    """The URL of a new database with a migrated schema."""
    url = server.create_database(template)
    yield url
    server.drop_database(url)


@pytest.fixture
async def empty_engine(empty_database: str, anyio_backend: object) -> AsyncIterator[AsyncEngine]:
    """An engine on a database without a worker schema."""
    async with database_loop():
        engine = create_async_engine(empty_database, poolclass=NullPool)
        yield engine
        await call_asyncio(engine.dispose)


@pytest.fixture
async def migrated_engine(migrated_database: str, anyio_backend: object) -> AsyncIterator[AsyncEngine]:
    """An engine on a database of its own with a migrated schema."""
    async with database_loop():
        engine = create_async_engine(migrated_database, poolclass=NullPool)
        yield engine
        await call_asyncio(engine.dispose)


@pytest.fixture
async def peer(empty_database: str, empty_engine: AsyncEngine) -> AsyncIterator[asyncpg.Connection]:
    """A bare connection to the database of `empty_engine`, on either event loop through `call_asyncio`."""
    connection = await call_asyncio(connect, empty_database)
    yield connection
    await call_asyncio(connection.close)


@pytest.fixture
async def watcher(empty_database: str, empty_engine: AsyncEngine) -> AsyncIterator[asyncpg.Connection]:
    """Another such connection."""
    connection = await call_asyncio(connect, empty_database)
    yield connection
    await call_asyncio(connection.close)


@pytest.fixture
async def db(clean_database: str, anyio_backend: object) -> AsyncIterator[asyncpg.Connection]:
    """A bare connection to the module's database; for tests on asyncio only."""
    connection = await connect(clean_database)
    yield connection
    await connection.close()


@pytest.fixture
async def db2(clean_database: str, anyio_backend: object) -> AsyncIterator[asyncpg.Connection]:
    """Another such connection."""
    connection = await connect(clean_database)
    yield connection
    await connection.close()


@pytest.fixture
async def db3(clean_database: str, anyio_backend: object) -> AsyncIterator[asyncpg.Connection]:
    """A third such connection."""
    connection = await connect(clean_database)
    yield connection
    await connection.close()


@pytest.fixture
def peer_cli() -> list[str]:
    """The command line of Graphile Worker for Node.js; GW_SQLA_PEER is the folder above its node_modules."""
    folder = os.environ.get("GW_SQLA_PEER")
    node = shutil.which("node")
    if not folder or node is None:
        pytest.skip("needs Node.js and graphile-worker (GW_SQLA_PEER)")
    return [node, str(Path(folder) / "node_modules" / "graphile-worker" / "dist" / "cli.js")]


@pytest.fixture
def peers_own(peer_cli: list[str]) -> Catalog:
    """What the schema of the installed Graphile Worker has beside the contract."""
    return VERSIONS[peer_version(os.environ["GW_SQLA_PEER"])]


@pytest.fixture
def role(server: Server, request: pytest.FixtureRequest) -> Iterator[Role]:
    """A role without rights, for the empty or the migrated database of the same test."""
    database = "empty_database" if "empty_database" in request.fixturenames else "migrated_database"
    with temporary_role(server, request.getfixturevalue(database)) as made:
        yield made
