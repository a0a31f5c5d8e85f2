"""The worker's own connections are closed whenever a cancellation comes, also just as a call on them ends."""

from __future__ import annotations

import gc
from contextlib import ExitStack
from itertools import count
from typing import Any

import anyio
import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import Runner, TaskRegistry, call_asyncio
from gw_sqla.database.event_loops import driver_callback
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.schema.check import check_schema
from gw_sqla.types import DEFAULT_SCHEMA
from tests.database.asleep import cancel_while_asleep
from tests.repository.look import open_look
from tests.support.housekeeper import NAME
from tests.support.server import connect
from tests.worker.conftest import ONLY_NOTIFIED

pytestmark = pytest.mark.anyio

SLEEP = text("select pg_sleep(60)")


class CancelAtQuery:
    """Cancels a scope as the nth query of an engine's connections ends: before its caller has the answer."""

    def __init__(self, engine: AsyncEngine, nth: int, scope: anyio.CancelScope) -> None:
        self._queries = count(1)
        self._nth = nth
        self._cancel = driver_callback(scope.cancel)
        self._engine = engine.sync_engine
        event.listen(self._engine, "connect", self._watch)

    def close(self) -> None:
        event.remove(self._engine, "connect", self._watch)

    def _watch(self, connection: Any, _record: object) -> None:
        connection.driver_connection.add_query_logger(self._query_ended)

    def _query_ended(self, _query: object) -> None:
        if next(self._queries) == self._nth:
            self._cancel()


async def open_connections(database: str) -> int:
    """Count the connections to the database but this one, once those that were just closed are gone."""
    connection = await connect(database)
    try:
        return int(
            await connection.fetchval(
                "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() "
                "and backend_type = 'client backend' and application_name <> $1",
                NAME,
            )
        )
    finally:
        await connection.close()


@pytest.mark.parametrize("nth", range(1, 5))
async def test_cancellation_at_any_query_closes_what_was_opened(
    engine: AsyncEngine, tasks: TaskRegistry, database: str, nth: int
) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    await check_schema(engine)  # so the pool has a connection already; what is opened from here on is watched
    with ExitStack() as stack, anyio.move_on_after(30) as scope:
        cancel = CancelAtQuery(engine, nth, scope)
        stack.callback(cancel.close)
        await Runner(engine, tasks, ONLY_NOTIFIED).run()
    assert scope.cancelled_caught
    gc.collect()  # a connection that was dropped warns
    with anyio.fail_after(20):
        while await call_asyncio(open_connections, database) > 1:  # noqa: ASYNC110 - a server says nothing
            await anyio.sleep(0.01)


async def test_a_function_that_is_cancelled_leaves_no_connection(engine: AsyncEngine, database: str) -> None:
    """SQLAlchemy gives its connection up then, and closes it only where that is in a pool."""
    connection = WorkerConnection(engine, settings="", isolation_level="READ COMMITTED")
    async with open_look(database, DEFAULT_SCHEMA) as look:
        await cancel_while_asleep(look, lambda: connection.run_sync(lambda plain: plain.execute(SLEEP)))
    await connection.close()
    with anyio.fail_after(20):
        while await call_asyncio(open_connections, database) > 0:  # noqa: ASYNC110 - a server says nothing
            await anyio.sleep(0.01)
