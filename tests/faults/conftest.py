"""What the tests of faults share: a registry and a recorder, a proxy before the database, what the log says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla.database.event_loops import call_asyncio, database_loop
from tests.support.proxy import Proxy, start_proxy
from tests.worker.conftest import add_job, log, recorder, repo, tasks

__all__ = ["add_job", "log", "recorder", "repo", "tasks"]


@pytest.fixture
def proxy(clean_database: str) -> Iterator[Proxy]:
    """A proxy before the module's emptied database."""
    with start_proxy(clean_database) as started:
        yield started


@pytest.fixture
async def far_engine(proxy: Proxy, anyio_backend: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the module's database by way of the proxy; at the end no connection may be checked out."""
    async with database_loop():
        engine = create_async_engine(proxy.url, pool_pre_ping=True)
        yield engine
        checked_out: Any = engine.pool
        assert checked_out.checkedout() == 0, "a connection was left checked out"
        proxy.cut()  # one that the network has forgotten would make the pool wait for its goodbye
        await call_asyncio(engine.dispose)
