"""A worker for a pooler in transaction mode: it polls, and leaves nothing behind in a session."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import CronItem, JobRepository, Runner, RunnerSettings, TaskRegistry, async_sessionmaker, call_asyncio
from gw_sqla.database.event_loops import database_loop
from gw_sqla.database.worker_connection import WorkerConnection
from tests.support.recorder import Recorder

pytestmark = pytest.mark.anyio

NO_STATEMENTS_KEPT = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}


async def test_nothing_is_kept_in_a_session(clean_database: str, anyio_backend: str) -> None:
    """Each statement has a transaction of its own, its settings are gone afterwards, none stays prepared."""
    async with database_loop():
        engine = create_async_engine(clean_database, connect_args=NO_STATEMENTS_KEPT)
        connection = WorkerConnection(engine, pooled=True)
        settings = "current_setting('enable_seqscan') || ' ' || current_setting('search_path')"
        inside = text(f"select {settings} as setting, pg_current_xact_id() as transaction")
        first = await connection.fetch(inside, {})
        second = await connection.fetch(inside, {})
        assert [row["setting"] for row in (*first, *second)] == ["off pg_catalog, pg_temp"] * 2
        assert first[0]["transaction"] != second[0]["transaction"]
        driver = await call_asyncio(connection.driver)
        assert await call_asyncio(driver.fetchval, "show enable_seqscan") == "on"
        assert await call_asyncio(driver.fetchval, "show search_path") == '"$user", public'
        assert await call_asyncio(driver.fetchval, "select count(*) from pg_prepared_statements where name <> ''") == 0
        await connection.close()
        await call_asyncio(engine.dispose)


async def test_a_worker_polls_and_does_not_listen(
    clean_database: str, anyio_backend: str, tasks: TaskRegistry, recorder: Recorder
) -> None:
    queries: list[str] = []

    @tasks.task("note")
    async def note(payload: int) -> None:
        if payload == 2:
            raise ValueError

    def watch(connection: Any, _record: object) -> None:
        connection.driver_connection.add_query_logger(lambda query: queries.append(query.query))

    async with database_loop():
        engine = create_async_engine(clean_database, connect_args=NO_STATEMENTS_KEPT)
        event.listen(engine.sync_engine, "connect", watch)
        crontab = [CronItem("other", "* * * * *")]
        settings = RunnerSettings(transaction_pooler=True, poll_interval=timedelta(milliseconds=20), crontab=crontab)
        async with Runner(engine, tasks, settings, observers=[recorder]):
            async with async_sessionmaker(engine).begin() as session:
                await JobRepository().add_jobs(session, [note.spec(number, queue_name="q") for number in range(4)])
            await recorder.until(lambda: len(recorder.completed) == 3 and recorder.failed)
            with anyio.fail_after(30):
                while not any("_private_known_crontabs" in query for query in queries):  # noqa: ASYNC110 - of the server
                    await anyio.sleep(0.01)
        await call_asyncio(engine.dispose)
    assert any("set local enable_seqscan" in query for query in queries)
    assert not any(query.lower().startswith(("listen", "set enable")) for query in queries)
