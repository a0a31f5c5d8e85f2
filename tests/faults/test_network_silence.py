"""Silence of the network, which closes nothing: it is waited for while it may end, and given up where it does not."""

from __future__ import annotations

import gc
from datetime import timedelta

import anyio
import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobRepository, Runner, RunnerSettings, TaskRegistry
from gw_sqla.database import worker_connection
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.types import DEFAULT_SCHEMA
from gw_sqla.worker.schema_watch import SchemaWatch
from gw_sqla.worker.stop_request import StopRequest
from tests.faults.conftest import JOBS, SETTINGS, Sessions, assert_nothing_is_left
from tests.support.log import Log
from tests.support.proxy import Proxy
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio


async def test_silence_that_ends(
    far_engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    repo: JobRepository,
    proxy: Proxy,
    ran: list[int],
) -> None:
    async with Runner(far_engine, tasks, SETTINGS, observers=[recorder]):
        await recorder.until(lambda: len(ran) >= 50)
        proxy.hold()
        await anyio.sleep(2)  # how long the network is silent
        proxy.flow()
        await recorder.until(lambda: len(set(ran)) == JOBS, seconds=60)
    await assert_nothing_is_left(sessions, repo)
    assert len(ran) == JOBS  # nothing was cut off, so nothing was run twice
    assert recorder.lost == []


async def test_silence_while_a_connection_is_closed(far_engine: AsyncEngine, proxy: Proxy) -> None:
    """No task with an error that nobody asks for is left behind: asyncio's loop, and so this test, would be told."""
    connection = WorkerConnection(far_engine)
    await connection.fetch(text("select 1"), {})
    proxy.hold()
    with anyio.fail_after(10):
        await connection.close()
    await anyio.sleep(0.5)  # SQLAlchemy's task has waited as long as this side by then
    gc.collect()


async def test_silence_while_the_schema_is_looked_at(
    far_engine: AsyncEngine, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look is given up, or the listener, and the stop that waits for it, would hang."""
    monkeypatch.setattr(worker_connection, "STATEMENT_SECONDS", 1.0)
    event.listen(far_engine.sync_engine, "connect", lambda *_: proxy.forget())
    watch = SchemaWatch(far_engine, DEFAULT_SCHEMA, StopRequest())
    with anyio.fail_after(30), pytest.raises(TimeoutError):
        await watch.look()


async def test_silence_that_never_ends(
    far_engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    repo: JobRepository,
    proxy: Proxy,
    ran: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other end is gone without a word, as behind a firewall that forgot: the connections are given up."""
    monkeypatch.setattr(worker_connection, "STATEMENT_SECONDS", 1.0)
    async with Runner(far_engine, tasks, SETTINGS, observers=[recorder]):
        await recorder.until(lambda: len(ran) >= 50)
        proxy.forget()
        await recorder.until(lambda: len(set(ran)) == JOBS, seconds=60)
    await assert_nothing_is_left(sessions, repo)
    assert recorder.lost == []


@pytest.mark.parametrize("during", ["a query", "the handler's own work"])
@pytest.mark.parametrize("how", ["stop", "timeout"])
async def test_silence_bounds_what_ends_a_handler(
    far_engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    proxy: Proxy,
    log: Log,
    during: str,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The clean-up of its session, and everything else that a stop waits for, has some seconds, here a fifth of one."""
    for name in (
        "gw_sqla.database.transaction_end.CLEAN_UP_SECONDS",
        "gw_sqla.database.worker_connection._CLOSE_SECONDS",
        "gw_sqla.worker.claimer._END_SECONDS",
        "gw_sqla.worker.orphaned_locks._END_SECONDS",
        "gw_sqla.worker.heartbeat._DEREGISTER_SECONDS",
    ):
        monkeypatch.setattr(name, 0.2)
    ended = anyio.Event()

    @tasks.task("hold", timeout=timedelta(milliseconds=500) if how == "timeout" else None)
    async def hold(session: AsyncSession) -> None:
        try:
            await session.execute(text("select 1"))
            proxy.forget()
            if during == "a query":
                await session.execute(text("select 1"))
            await anyio.sleep_forever()
        finally:
            ended.set()

    @tasks.task("note")
    async def note() -> None: ...

    settings = RunnerSettings(
        concurrency=1, prefetch=1, grace_period=timedelta(milliseconds=200), flush_timeout=timedelta(milliseconds=200)
    )
    job = await add_job(hold)
    await add_job(note)
    with anyio.fail_after(25):
        async with Runner(far_engine, tasks, settings, observers=[recorder]):
            await recorder.until(lambda: recorder.started)
            if how == "timeout":
                await recorder.until(lambda: len(recorder.started) == 2)  # its slot is free again
    assert ended.is_set()
    if how == "stop":
        assert log.with_text(f"running jobs are cancelled now: job {job.id} (hold)")
