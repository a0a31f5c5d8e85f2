"""The heartbeat: who is registered, what a fault of it does, and Graphile Worker RS's table beside ours."""

from __future__ import annotations

import logging
import os
import socket
from datetime import timedelta
from typing import Any

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, Runner, RunnerSettings, TaskRegistry, async_sessionmaker, call_asyncio
from gw_sqla.worker.lease import Lease
from tests.support.pools import locks, registered
from tests.support.recorder import Recorder
from tests.support.server import execute
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

OFTEN = RunnerSettings(heartbeat_interval=timedelta(milliseconds=20), poll_interval=timedelta(milliseconds=50))
RUST = """create table graphile_worker._private_workers (
  id text primary key, last_heartbeat_at timestamptz not null, started_at timestamptz not null, metadata jsonb)"""


@pytest.fixture
def tasks() -> TaskRegistry:
    tasks = TaskRegistry()

    @tasks.task("note")
    async def note() -> None: ...

    return tasks


async def row(sessions: Sessions, table: str = "_private_sqla_workers") -> Any:
    """Return the only worker that is registered, or None."""
    async with sessions() as session:
        return (await session.execute(text(f"select * from graphile_worker.{table}"))).one_or_none()


async def next_beat(sessions: Sessions, table: str = "_private_sqla_workers") -> None:
    first = await row(sessions, table)
    with anyio.fail_after(20):
        while (await row(sessions, table)).last_heartbeat_at == first.last_heartbeat_at:  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def test_a_worker_is_registered_while_it_runs(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions
) -> None:
    async with Runner(engine, tasks, OFTEN):
        found = await row(sessions)
        assert found.pool_id.startswith("pool-")
        assert found.heartbeat_threshold == timedelta(seconds=60)
        assert found.metadata.pop("version")
        assert found.metadata == {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "concurrency": 10,
            "tasks": ["note"],
            "forwarded": [],
            "forbidden_flags": [],
            "accepted_flags": [],
            "flag_allowlist": None,
        }
        await next_beat(sessions)
    assert await registered(sessions) == []


async def test_it_beats_while_its_last_jobs_end(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """A stopping worker has its grace period, which may be longer than the threshold."""

    @tasks.task("long")
    async def long() -> None:
        runner.stop()
        await next_beat(sessions)
        await next_beat(sessions)

    await add_job(long)
    runner = Runner(engine, tasks, OFTEN, observers=[recorder])
    await runner.run()
    assert len(recorder.completed) == 1
    assert await registered(sessions) == []


async def test_a_cancelled_worker_is_not_registered_any_more(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions
) -> None:
    async with anyio.create_task_group() as task_group:
        await task_group.start(Runner(engine, tasks, OFTEN).run)
        assert len(await registered(sessions)) == 1
        task_group.cancel_scope.cancel()
    assert await registered(sessions) == []


async def test_a_beat_that_fails_is_tried_again(
    engine: AsyncEngine, tasks: TaskRegistry, database: str, sessions: Sessions, caplog: pytest.LogCaptureFixture
) -> None:
    refuse = """create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
create trigger refuse before update on graphile_worker._private_sqla_workers execute function refuse()"""
    caplog.set_level(logging.WARNING)
    async with Runner(engine, tasks, OFTEN):
        await next_beat(sessions)
        await call_asyncio(execute, database, refuse)
        with anyio.fail_after(20):
            while "the heartbeat failed" not in caplog.text:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        await call_asyncio(execute, database, "drop function refuse cascade")
        with anyio.fail_after(20):
            while "the heartbeat works again" not in caplog.text:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        await next_beat(sessions)
    assert caplog.text.count("the heartbeat failed, will be tried again until it works") == 1


async def test_a_worker_that_may_hold_locks_stays_registered(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """What it could not write is then recovered like a dead worker's, not left for 4 hours."""

    @tasks.task("stuck")
    async def stuck() -> None:
        await session.execute(text("select * from graphile_worker._private_jobs for update"))
        runner.stop()

    settings = RunnerSettings(flush_timeout=timedelta(milliseconds=200))
    runner = Runner(engine, tasks, settings, observers=[recorder])
    async with sessions() as session:  # a transaction that holds the job, so that its outcome cannot be written
        await add_job(stuck)
        await runner.run()
    assert recorder.completed == []
    assert await locks(sessions) == (1, 0)
    assert len(await registered(sessions)) == 1


async def test_without_a_lease_no_job_is_claimed(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that was not heard of may be taken for dead: it takes no jobs until a beat was answered."""
    looked = anyio.Event()
    is_held = Lease.is_held
    allowed = False

    def held(lease: Lease) -> bool:
        looked.set()
        return allowed and is_held.fget(lease)  # type: ignore[attr-defined]

    monkeypatch.setattr(Lease, "is_held", property(held))
    async with Runner(engine, tasks, OFTEN, observers=[recorder]):
        await add_job("note")
        with anyio.fail_after(20):
            await looked.wait()
        assert recorder.started == []
        allowed = True
        await recorder.until(lambda: recorder.completed)


async def test_it_beats_in_the_table_of_rust_workers(
    engine: AsyncEngine, tasks: TaskRegistry, database: str, sessions: Sessions
) -> None:
    await call_asyncio(execute, database, RUST)
    try:
        async with Runner(engine, tasks, OFTEN):
            ours, theirs = await row(sessions), await row(sessions, "_private_workers")
            assert (theirs.id, theirs.metadata) == (ours.pool_id, ours.metadata)
            await next_beat(sessions, "_private_workers")
        assert await row(sessions, "_private_workers") is None
    finally:
        await call_asyncio(execute, database, "drop table graphile_worker._private_workers")


async def test_a_table_of_rust_workers_that_we_cannot_write_costs_nothing_else(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    database: str,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await call_asyncio(execute, database, RUST.replace("metadata jsonb", "other text"))
    try:
        async with Runner(engine, tasks, OFTEN, observers=[recorder]):
            await add_job("note")
            await recorder.until(lambda: recorder.completed)
            await next_beat(sessions)
        assert await registered(sessions) == []
    finally:
        await call_asyncio(execute, database, "drop table graphile_worker._private_workers")
    assert caplog.text.count("which Graphile Worker RS made") == 1
