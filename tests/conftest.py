"""Fixtures for every test: the server, a database for each module, an engine on both event loops."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import hypothesis  # noqa: F401 - its plugin warns where it is imported late, behind a gc.freeze
import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import async_sessionmaker
from gw_sqla.admin import ScanLimits, admin, sync_admin
from gw_sqla.database.event_loops import call_asyncio, database_loop
from gw_sqla.database.session import AsyncSession
from gw_sqla.schema.migrations import migrate
from tests.support.housekeeper import Housekeeper
from tests.support.server import Server, start_server

gc.set_threshold(20_000, 20, 100)  # it looked through all that is imported again and again, a tenth of the suite's time


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Each async test runs on both event loops."""
    return str(request.param)


@pytest.fixture(scope="session", autouse=True)
def patient_admin() -> Iterator[None]:
    """The database of a busy machine may take longer than the default limit of a reading, 120 ms."""
    patient = partial(ScanLimits, timeout=timedelta(seconds=30))
    with pytest.MonkeyPatch.context() as patch:
        for module in (admin, sync_admin):
            patch.setattr(module, "ScanLimits", patient)
        yield


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The PostgreSQL server of this test run."""
    with start_server() as running:
        yield running


@pytest.fixture(scope="session")
def template(server: Server) -> str:
    """The name of a migrated, empty database, to be copied."""
    url = server.create_database()

    async def prepare() -> None:
        engine = create_async_engine(url)
        await migrate(engine)
        await engine.dispose()

    asyncio.run(prepare())
    return str(make_url(url).database)


@pytest.fixture(scope="module")
def database(server: Server, template: str) -> Iterator[str]:
    """The URL of this test module's own migrated database."""
    url = server.create_database(template)
    yield url
    server.drop_database(url)


@pytest.fixture(scope="module")
def housekeeper(database: str) -> Iterator[Housekeeper]:
    """Empties the module's database and looks after it, between tests."""
    keeper = Housekeeper(database)
    yield keeper
    keeper.close()


@pytest.fixture
def settled_database(database: str, housekeeper: Housekeeper) -> Iterator[str]:
    """The module's database as it is; after the test and its other fixtures no transaction may be open in it."""
    yield database
    housekeeper.assert_no_open_transaction()


@pytest.fixture
def clean_database(settled_database: str, housekeeper: Housekeeper) -> str:
    """The module's database, emptied of what earlier tests left."""
    tables = (
        "jobs",
        "job_queues",
        "tasks",
        "known_crontabs",
        "sqla_workers",
        "sqla_audit",
        "sqla_forwarded",
        "sqla_holds",
        "sqla_snoozes",
        "sqla_pauses",
        "sqla_upkeep",
        "sqla_removed",
    )
    housekeeper.empty(*(f"graphile_worker._private_{table}" for table in tables))
    return settled_database


@pytest.fixture
async def engine(clean_database: str, anyio_backend: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the module's emptied database; at the end no connection may be checked out."""
    async with database_loop():
        engine = create_async_engine(clean_database)
        yield engine
        checked_out: Any = engine.pool
        assert checked_out.checkedout() == 0, "a connection was left checked out"
        await call_asyncio(engine.dispose)


@pytest.fixture
def sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """A maker of sessions that work on both event loops."""
    return async_sessionmaker(engine, expire_on_commit=False)
