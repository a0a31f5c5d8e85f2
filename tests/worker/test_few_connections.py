"""A worker holds few connections: two while it is idle, and it goes on with these where it can have no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import anyio
import pytest
from sqlalchemy import NullPool, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import AsyncSession, Runner, RunnerSettings, TaskRegistry, async_sessionmaker, call_asyncio
from tests.support.log import Log
from tests.support.pools import register, take_all
from tests.support.recorder import Recorder
from tests.support.server import Server, execute
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

ROLE = "gw_sqla_few"
BEATING = RunnerSettings(
    concurrency=2,
    heartbeat_interval=timedelta(milliseconds=20),
    sweep_interval=timedelta(hours=1),
    recovery_delay=timedelta(0),
)
HELD = f"select query from pg_stat_activity where usename = '{ROLE}'"
BEAT = "select max(last_heartbeat_at) from graphile_worker._private_sqla_workers"


@pytest.fixture
def role_url(server: Server, clean_database: str) -> Iterator[str]:
    """The URL of a worker's role, no superuser, for whom no limit of connections would hold."""
    server.execute(f"create role {ROLE} login bypassrls password 'secret'")
    grants = "grant usage on schema graphile_worker to {0}; grant all on all {1} in schema graphile_worker to {0}"
    for what in ("tables", "sequences"):
        asyncio.run(execute(clean_database, grants.format(ROLE, what)))
    yield make_url(clean_database).set(username=ROLE, password="secret").render_as_string(hide_password=False)
    asyncio.run(execute(clean_database, f"drop owned by {ROLE}"))
    server.execute(f"drop role {ROLE}")


@pytest.fixture
async def worker_engine(role_url: str, engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    own = create_async_engine(role_url, poolclass=NullPool)  # the handlers' connections are not counted
    yield own
    await call_asyncio(own.dispose)


async def until_two_are_held(sessions: Sessions) -> None:
    with anyio.fail_after(30):
        async with sessions() as session:
            while len((await session.execute(text(HELD))).all()) != 2:
                await session.rollback()
                await anyio.sleep(0.01)


async def until_it_has_beaten(sessions: Sessions, times: int = 3) -> None:
    async with sessions() as session:
        last: Any = None
        for _ in range(times):
            with anyio.fail_after(30):
                while (beat := await session.scalar(text(BEAT))) == last:
                    await session.rollback()
                    await anyio.sleep(0.01)
            last = beat


async def test_an_idle_worker_holds_two(
    worker_engine: AsyncEngine,
    sessions: Sessions,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gw_sqla.worker.finisher._IDLE_SECONDS", 0.05)

    @tasks.task("note")
    async def note(payload: int) -> None: ...

    async with Runner(worker_engine, tasks, BEATING, observers=[recorder]):
        for number in range(3):
            await add_job(note, number)
            await recorder.until(lambda done=number: len(recorder.completed) == done + 1)  # type: ignore[misc]
            await until_two_are_held(sessions)
        await until_it_has_beaten(sessions)
        await until_two_are_held(sessions)
    assert log.lines == []


async def test_where_no_more_can_be_had_it_goes_on_with_two(
    worker_engine: AsyncEngine,
    clean_database: str,
    sessions: Sessions,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    log: Log,
) -> None:
    @tasks.task("note")
    async def note(payload: int) -> None: ...

    @tasks.task("fails")
    async def fails() -> None:
        raise ValueError("no")

    async with Runner(worker_engine, tasks, BEATING, observers=[recorder]):
        await until_two_are_held(sessions)
        await call_asyncio(execute, clean_database, f"alter role {ROLE} connection limit 2")
        for number in range(100):
            await add_job(note, number, queue_name=f"q{number % 3}" if number % 2 else None)
        await add_job(fails)
        await recorder.until(lambda: len(recorder.completed) == 100 and recorder.failed)
        await until_it_has_beaten(sessions)
    assert [line for line in log.lines if "heartbeat" in line or "writing" in line or "claiming" in line] == []


async def test_a_worker_that_starts_with_two_listens_and_recovers(
    worker_engine: AsyncEngine,
    clean_database: str,
    sessions: Sessions,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A look at the schema, and the sweeps, find no third connection: the listener stays, the dead are recovered."""
    monkeypatch.setattr("gw_sqla.worker.finisher._IDLE_SECONDS", 0.05)

    @tasks.task("note")
    async def note() -> None: ...

    await add_job(note)
    await register(sessions, "pool-dead", silent_for=timedelta(hours=1))
    await take_all(sessions, "pool-dead")
    await call_asyncio(execute, clean_database, f"alter role {ROLE} connection limit 2")
    async with Runner(worker_engine, tasks, BEATING, observers=[recorder]):
        await recorder.until(lambda: len(recorder.completed) == 1)
        listener = await the_listener(sessions)
        await until_it_has_beaten(sessions, times=50)
        assert await the_listener(sessions) == listener
    assert [line for line in log.lines if "recovery of" in line] == []


async def the_listener(sessions: Sessions) -> Any:
    """Which backend listens, as soon as one does."""
    listening = f"select pid from pg_stat_activity where usename = '{ROLE}' and query like 'LISTEN%'"
    async with sessions() as session:
        with anyio.fail_after(30):
            while (pid := await session.scalar(text(listening))) is None:
                await session.rollback()
                await anyio.sleep(0.01)
    return pid


async def test_a_beat_does_not_wait_for_a_claim_that_takes_long(
    worker_engine: AsyncEngine,
    clean_database: str,
    sessions: Sessions,
    tasks: TaskRegistry,
    add_job: AddJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gw_sqla.worker.between_claims._PATIENCE", 0.05)

    @tasks.task("note")
    async def note(payload: int) -> None: ...

    async with Runner(worker_engine, tasks, BEATING), sessions() as holder:
        await until_it_has_beaten(sessions)
        await holder.execute(text("lock table graphile_worker._private_tasks in access exclusive mode"))
        await call_asyncio(execute, clean_database, 'notify "jobs:insert", \'{"count":1}\'')
        with anyio.fail_after(30):
            while True:
                claim = await waiting_claim(sessions)
                if claim is not None:
                    await until_it_has_beaten(sessions, times=2)
                    if await waiting_claim(sessions) == claim:
                        break
                await anyio.sleep(0.01)
        await holder.rollback()


async def waiting_claim(sessions: Sessions) -> Any:
    """When the claim began that waits for a lock."""
    claims = """select query_start from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and query like '%priorities as%'"""
    async with sessions() as look:
        return await look.scalar(text(claims))
