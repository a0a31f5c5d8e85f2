"""Faults of the database under a running worker: it goes on, and no job is lost or left locked."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import anyio
import anyio.to_thread
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import (
    AsyncSession,
    JobRepository,
    JobState,
    RunCounts,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
    call_asyncio,
    migrate,
)
from gw_sqla.database.event_loops import database_loop
from gw_sqla.database.worker_connection import WorkerConnection
from tests.support.recorder import Recorder
from tests.support.server import RestartableServer, Server, connect, execute, restartable_server
from tests.worker.conftest import ONLY_NOTIFIED, AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

_KILL = """select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and query like '{}'"""
_LISTENS = """select count(*) from pg_stat_activity
where datname = current_database() and query like 'LISTEN%worker:migrate%' and state = 'idle'"""


async def run_sql(url: str, sql: str) -> None:
    """Run SQL on a connection that is not the worker's."""
    await call_asyncio(execute, url, sql)


async def wait_until_it_listens(url: str) -> None:
    """Wait until the worker's listener has proved itself: a first job may well be claimed before."""
    connection = await call_asyncio(connect, url)
    try:
        with anyio.fail_after(30):
            while not await call_asyncio(connection.fetchval, _LISTENS):  # noqa: ASYNC110 - the server's view has no event
                await anyio.sleep(0.01)
    finally:
        await call_asyncio(connection.close)


async def test_killed_listener_is_replaced(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    database: str,
    recorder: Recorder,
    add_job: AddJob,
    caplog: pytest.LogCaptureFixture,
) -> None:
    @tasks.task("note")
    async def note(payload: int) -> None: ...

    caplog.set_level(logging.WARNING)
    async with Runner(engine, tasks, ONLY_NOTIFIED, observers=[recorder]):
        await add_job(note, 1)
        await recorder.until(lambda: recorder.completed)
        await wait_until_it_listens(database)
        await run_sql(database, _KILL.format("LISTEN%"))
        await add_job(note, 2)  # announced before or after the new LISTEN: claimed either way
        await recorder.until(lambda: len(recorder.completed) == 2)
        await add_job(note, 3)
        await recorder.until(lambda: len(recorder.completed) == 3)
    about_listening = [
        record.getMessage() for record in caplog.records if "listening for new jobs" in record.getMessage()
    ]
    assert len(about_listening) == 2
    assert about_listening[0].startswith("listening for new jobs failed, will be tried again")
    assert about_listening[1] == "listening for new jobs works again after 1 faults"


async def test_every_connection_killed_again_and_again(
    engine: AsyncEngine, tasks: TaskRegistry, database: str, sessions: Sessions, repo: JobRepository, recorder: Recorder
) -> None:
    ran: set[int] = set()

    @tasks.task("note")
    async def note(payload: int) -> None:
        ran.add(payload)

    async with sessions.begin() as session:
        await repo.add_jobs(session, [note.spec(n, queue_name=f"q{n % 7}" if n % 2 else None) for n in range(1500)])
    settings = RunnerSettings(concurrency=4, poll_interval=timedelta(milliseconds=50))
    async with Runner(engine, tasks, settings, observers=[recorder]):
        for round_ in range(1, 6):
            await recorder.until(lambda least=round_ * 100: len(ran) >= least)  # type: ignore[misc]
            await run_sql(database, _KILL.format("%"))
        await recorder.until(lambda: len(ran) == 1500, seconds=60)
    await call_asyncio(engine.dispose)  # what the pool has was killed, too
    async with sessions() as session:
        assert await repo.list_jobs(session) == []
        assert (
            await session.scalar(
                text("select count(*) from graphile_worker._private_job_queues where locked_at is not null")
            )
            == 0
        )
    assert recorder.lost == []


async def test_lost_lock_is_reported_and_the_job_left_to_its_new_owner(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    repo: JobRepository,
    recorder: Recorder,
    add_job: AddJob,
) -> None:
    @tasks.task("taken")
    async def taken(payload: bool) -> None:
        async with sessions.begin() as session:
            await session.execute(text("update graphile_worker._private_jobs set locked_by = 'another'"))
            await session.execute(text("update graphile_worker._private_job_queues set locked_by = 'another'"))
        if payload:
            raise ValueError

    for fails in (False, True):
        await add_job(taken, fails, queue_name=f"q{fails}")
        assert await Runner(engine, tasks, observers=[recorder]).run_once() == RunCounts(0, 0)
    assert len(recorder.lost) == 2
    async with sessions() as session:
        jobs = await repo.list_jobs(session)
        assert [(job.locked_by, job.last_error, job.state) for job in jobs] == [("another", None, JobState.LOCKED)] * 2
        assert (
            await session.scalar(
                text("select count(*) from graphile_worker._private_job_queues where locked_by = 'another'")
            )
            == 2
        )


async def test_claim_whose_answer_was_lost_is_given_back(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is committed, then its connection dies before the worker has read the answer."""

    @tasks.task("note")
    async def note() -> None: ...

    lost = 0
    fetch = WorkerConnection.fetch_shielded

    async def lose_answer(connection: WorkerConnection, statement: Any, parameters: Any) -> Any:
        nonlocal lost
        rows = await fetch(connection, statement, parameters)
        if "locked_queues" in str(statement) and rows and lost == 0:
            lost += 1
            await connection.disconnect()
            raise ConnectionResetError("the answer is lost")
        return rows

    await add_job(note, queue_name="q")
    monkeypatch.setattr(WorkerConnection, "fetch_shielded", lose_answer)
    settings = RunnerSettings(poll_interval=timedelta(milliseconds=20))
    async with Runner(engine, tasks, settings, observers=[recorder]):
        await recorder.until(lambda: recorder.completed)
    assert lost == 1
    assert recorder.completed[0].job.attempts == 1


async def test_pool_exhausted_by_handlers_is_waited_out(
    tasks: TaskRegistry, clean_database: str, recorder: Recorder
) -> None:
    @tasks.task("hold")
    async def hold() -> None:
        async with sessions() as session:
            await session.execute(text("select 1"))
            await anyio.sleep(0.3)  # the time for which the pool is empty, not a synchronisation

    async with database_loop():
        engine = create_async_engine(clean_database, pool_size=2, max_overflow=0, pool_timeout=0.1)
        sessions = async_sessionmaker(engine)
        async with sessions.begin() as session:
            await JobRepository().add_jobs(session, [hold.spec()] * 4)
        settings = RunnerSettings(concurrency=2, poll_interval=timedelta(milliseconds=20))
        async with Runner(engine, tasks, settings, observers=[recorder]):
            await recorder.until(lambda: len(recorder.completed) == 4)
        await call_asyncio(engine.dispose)


async def test_restart_of_postgresql_in_the_middle_of_work(tasks: TaskRegistry, recorder: Recorder) -> None:
    with restartable_server() as server:
        async with database_loop():
            engine = create_async_engine(server.url)
            await migrate(engine)
            await work_through_a_restart(engine, server, tasks, recorder)
            await call_asyncio(engine.dispose)


async def work_through_a_restart(
    engine: AsyncEngine, server: RestartableServer, tasks: TaskRegistry, recorder: Recorder
) -> None:
    ran: list[int] = []
    reached = anyio.Event()

    @tasks.task("note")
    async def note(payload: int) -> None:
        ran.append(payload)
        if len(ran) == 200:
            reached.set()

    sessions = async_sessionmaker(engine)
    async with sessions.begin() as session:
        await JobRepository().add_jobs(session, [note.spec(n, queue_name="q" if n % 3 else None) for n in range(600)])
    settings = RunnerSettings(concurrency=8, poll_interval=timedelta(milliseconds=50))
    async with Runner(engine, tasks, settings, observers=[recorder]):
        with anyio.fail_after(30):
            await reached.wait()
        await anyio.to_thread.run_sync(server.stop, "immediate")
        await anyio.to_thread.run_sync(server.start)
        await recorder.until(lambda: len(set(ran)) == 600, seconds=60)
    await call_asyncio(engine.dispose)  # what the pool has ended with the server
    async with sessions() as session:
        assert await JobRepository().count_jobs_by_state(session) == dict.fromkeys(JobState, 0)
    assert recorder.lost == []
    assert recorder.failed == []


async def test_server_that_is_down_at_the_start_is_said_at_once(tasks: TaskRegistry) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    async with database_loop():
        engine = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
        with pytest.raises(OSError, match=r"refused|failed"):
            await Runner(engine, tasks).run()
        await call_asyncio(engine.dispose)


async def test_message_that_the_database_cannot_hold_is_written_with_escapes(
    server: Server, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("fail")
    async def fail() -> None:
        raise ValueError("it costs 5 \u20ac")

    @tasks.task("note")
    async def note() -> None: ...

    url = await anyio.to_thread.run_sync(server.create_database, None, "LATIN1")
    async with database_loop():
        engine = create_async_engine(url)
        await migrate(engine)
        async with async_sessionmaker(engine).begin() as session:
            job = await repo.add_job(session, fail)
            await repo.add_job(session, note)
        with anyio.fail_after(60):
            assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=1)
        async with async_sessionmaker(engine)() as session:
            found = await repo.get_job(session, job.id)
        await call_asyncio(engine.dispose)
    assert found is not None
    assert found.last_error == "ValueError: it costs 5 \\u20ac"
    await anyio.to_thread.run_sync(server.drop_database, url)
