"""The listener proves itself: it hears its own notification, or replaces its connection."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import anyio
import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import call_asyncio
from gw_sqla.worker.listener import Listener
from tests.support.server import execute

pytestmark = pytest.mark.anyio


class Listening:
    """A listener at work, and the connections that it opened."""

    def __init__(self, engine: AsyncEngine, timeout: timedelta, *, deafen: bool = False) -> None:
        self._deafen = deafen
        self.drivers: list[Any] = []
        self.connected = 0
        self.heard = 0
        event.listen(engine.sync_engine, "connect", lambda connection, _: self.drivers.append(connection))
        self.listener = Listener(
            engine,
            look=self._look,
            on_jobs=self._on_jobs,
            on_pauses=lambda: None,
            known_migration=19,
            probe_interval=timedelta(milliseconds=20),
            probe_timeout=timeout,
        )

    async def _look(self) -> None:
        self.connected += 1
        if self._deafen and self.connected == 1:  # here the listener itself does nothing on the connection
            await call_asyncio(self.drivers[-1].driver_connection.execute, "unlisten *")

    def _on_jobs(self) -> None:
        self.heard += 1


async def until(condition: Any) -> None:
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - some conditions have no event
            await anyio.sleep(0.01)


async def test_a_connection_that_has_become_deaf_is_replaced(
    engine: AsyncEngine, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    listening = Listening(engine, timedelta(seconds=1), deafen=True)
    async with anyio.create_task_group() as task_group:
        task_group.start_soon(listening.listener.run)
        await until(lambda: listening.connected == 2)
        await call_asyncio(execute, database, """notify "jobs:insert", '{"count": 1}'""")
        await until(lambda: listening.heard)
        task_group.cancel_scope.cancel()
    assert len(listening.drivers) == 2
    assert "a notification to itself did not arrive" in caplog.text
    assert "listening for new jobs works again" in caplog.text


async def test_a_connection_that_hears_is_kept(engine: AsyncEngine) -> None:
    listening = Listening(engine, timedelta(seconds=30))
    queries: list[str] = []
    async with anyio.create_task_group() as task_group:
        task_group.start_soon(listening.listener.run)
        await until(lambda: listening.connected)
        listening.drivers[0].driver_connection.add_query_logger(lambda query: queries.append(query.query))
        await until(lambda: len(queries) >= 3)
        task_group.cancel_scope.cancel()
    assert listening.connected == 1
    assert {query.partition(" ")[0] for query in queries} == {"notify", "LISTEN"}
