"""Databases to migrate, and Alembic operations on them by either driver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.ext.asyncio import create_async_engine

import gw_sqla.operations  # noqa: F401 - registers the operations
from tests.support.server import Server, execute

R = TypeVar("R")

WEIRD = 'We"ird % :schema \\ $body$'
"""A name that needs quoting everywhere. (With %(a)s in it, psycopg under SQLAlchemy 2.0 could not query its tables.)"""


@dataclass(frozen=True)
class Migrator:
    """A database, and how a user's env.py connects to it."""

    url: str
    driver: str

    def connected(self, work: Callable[[sa.Connection], R]) -> R:
        """Run ``work`` in a transaction, as an env.py runs migrations, and commit it."""
        if self.driver == "asyncpg":
            return asyncio.run(self._on_asyncpg(work))
        engine = sa.create_engine(sa.make_url(self.url).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
        with engine.begin() as connection:
            return work(connection)

    def migrate(self, work: Callable[[Any], object]) -> None:
        """Run ``work`` with an ``op`` (Any: type checkers do not know the operations there)."""
        self.connected(lambda connection: work(Operations(MigrationContext.configure(connection))))

    def execute(self, text: str) -> None:
        """Run SQL from outside."""
        asyncio.run(execute(self.url, text))

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        options = {"no_parameters": True}  # a % is a %

        def read(connection: sa.Connection) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in connection.exec_driver_sql(text, execution_options=options)]

        return self.connected(read)

    def jobs(self, schema: str = '"graphile_worker"') -> list[tuple[Any, ...]]:
        """Return task and payload of every job, in order."""
        tables = f"{schema}._private_jobs as j join {schema}._private_tasks as t on t.id = j.task_id"
        return self.rows(f"select identifier, payload from {tables} order by j.id")

    async def _on_asyncpg(self, work: Callable[[sa.Connection], R]) -> R:
        engine = create_async_engine(self.url, poolclass=sa.NullPool)
        async with engine.begin() as connection:
            return await connection.run_sync(work)


@pytest.fixture(params=["psycopg", "asyncpg"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def migrated(server: Server, template: str, driver: str) -> Iterator[Migrator]:
    """A database of its own with a worker schema."""
    url = server.create_database(template)
    yield Migrator(url, driver)
    server.drop_database(url)


@pytest.fixture
def empty(server: Server, driver: str) -> Iterator[Migrator]:
    """A database of its own without a worker schema."""
    url = server.create_database()
    yield Migrator(url, driver)
    server.drop_database(url)
