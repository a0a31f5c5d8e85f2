"""Fixtures for the repository: a database with two worker schemas, a repository for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import NullPool, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import JobRepository, migrate
from gw_sqla.statements.quoting import quoted
from gw_sqla.types import DEFAULT_SCHEMA
from tests.repository.look import Look, open_look
from tests.schema.contract import WEIRD
from tests.support.housekeeper import Housekeeper
from tests.support.server import Server, execute

TABLES = ("_private_jobs", "_private_job_queues", "_private_tasks", "_private_sqla_pauses", "_private_sqla_audit")


@pytest.fixture(scope="session")
def template(server: Server, template: str) -> str:
    """A database with two migrated schemas and a table of the application's own."""
    url = server.create_database(template)

    async def prepare() -> None:
        engine = create_async_engine(url, poolclass=NullPool)
        await migrate(engine, schema=WEIRD)
        await engine.dispose()
        await execute(url, "create table orders (id integer primary key)")

    asyncio.run(prepare())
    return str(make_url(url).database)


@pytest.fixture
def clean_database(settled_database: str, housekeeper: Housekeeper) -> str:
    """The module's database, emptied of what earlier tests left in both schemas."""
    tables = [f"{quoted(schema)}.{table}" for schema in (DEFAULT_SCHEMA, WEIRD) for table in TABLES]
    housekeeper.empty("orders", *tables)
    return settled_database


@pytest.fixture(params=[DEFAULT_SCHEMA, WEIRD], ids=["default", "weird"])
def schema(request: pytest.FixtureRequest) -> str:
    """Each test that asks for it runs in the default schema and in one whose name needs quoting."""
    return str(request.param)


@pytest.fixture
def repo(schema: str) -> JobRepository:
    return JobRepository() if schema == DEFAULT_SCHEMA else JobRepository(schema)


@pytest.fixture
async def look(engine: AsyncEngine, clean_database: str, schema: str) -> AsyncIterator[Look]:
    """A bare connection, beside the engine under test."""
    async with open_look(clean_database, schema) as opened:
        yield opened
