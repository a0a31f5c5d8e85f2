"""The worker's own connections: none of the handlers' pool, at READ COMMITTED, closed whenever a cancellation comes."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any

import anyio
import pytest
from sqlalchemy import NullPool, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import AsyncSession, Runner, RunnerSettings, TaskRegistry, async_sessionmaker, call_asyncio
from gw_sqla.database.event_loops import driver_callback
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.schema.check import check_schema
from gw_sqla.types import DEFAULT_SCHEMA
from gw_sqla.worker.lease import lease_clock
from tests.database.asleep import cancel_while_asleep
from tests.repository.look import open_look
from tests.support.housekeeper import NAME
from tests.support.log import Log
from tests.support.recorder import Recorder
from tests.support.server import connect
from tests.worker.conftest import ONLY_NOTIFIED, AddJob
from tests.worker.test_heartbeat import next_beat

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

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


async def rows(database: str, sql: str) -> list[Any]:
    """Run SQL on a connection that is not the worker's."""
    connection = await connect(database)
    try:
        return list(await connection.fetch(sql))
    finally:
        await connection.close()


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


OFTEN = RunnerSettings(
    heartbeat_interval=timedelta(milliseconds=50),
    poll_interval=timedelta(milliseconds=50),
    sweep_interval=timedelta(milliseconds=50),
    concurrency=2,
)
KILL = """select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and application_name = 'worker' and state <> 'idle in transaction'"""


@asynccontextmanager
async def worker_engine(url: str, **options: Any) -> AsyncIterator[AsyncEngine]:
    """Open an engine whose sessions can be told from others'."""
    server_settings = {"application_name": "worker", **options.pop("server_settings", {})}
    engine = create_async_engine(url, connect_args={"server_settings": server_settings}, **options)
    yield engine
    await call_asyncio(engine.dispose)


async def test_none_comes_from_the_handlers_pool(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    database: str,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    log: Log,
) -> None:
    """The handlers hold all of it, and every other connection is cut: the worker goes on, and is not taken for dead."""
    release = anyio.Event()

    @tasks.task("hold")
    async def hold(session: AsyncSession) -> None:
        await session.execute(text("select 1"))
        await release.wait()

    async with (
        worker_engine(database, pool_size=2, max_overflow=0, pool_timeout=0.2) as small,
        Runner(small, tasks, OFTEN, observers=[recorder]),
    ):
        for _ in range(2):
            await add_job(hold)
        await recorder.until(lambda: len(recorder.started) == 2)
        held = "state = 'idle in transaction' and application_name = 'worker'"
        with anyio.fail_after(20):
            while len(await call_asyncio(rows, database, f"select from pg_stat_activity where {held}")) < 2:  # noqa: ASYNC110 - of the server
                await anyio.sleep(0.01)
        await call_asyncio(rows, database, KILL)
        await log.until(lambda: log.about("listening for new jobs works again"))
        await next_beat(sessions)
        release.set()
        await recorder.until(lambda: len(recorder.completed) == 2)
    assert recorder.lost == []


async def test_whatever_connecting_raises_is_an_outage(
    engine: AsyncEngine, tasks: TaskRegistry, database: str, recorder: Recorder, add_job: AddJob
) -> None:
    """A program's own way to get a password, say."""

    class TokenError(Exception):
        """What the token service's client raises."""

    @tasks.task("note")
    async def note() -> None: ...

    is_down = False
    refused = 0

    def with_token(*_: object) -> None:
        nonlocal refused
        if is_down:
            refused += 1
            raise TokenError("the token service is down")

    async with worker_engine(database) as guarded:
        event.listen(guarded.sync_engine, "do_connect", with_token)
        async with Runner(guarded, tasks, OFTEN, observers=[recorder]):
            await add_job(note)
            await recorder.until(lambda: recorder.completed)
            is_down = True
            await call_asyncio(rows, database, KILL)
            with anyio.fail_after(20):
                while refused < 4:  # noqa: ASYNC110 - on trio it is called in another thread
                    await anyio.sleep(0.01)
            is_down = False
            await add_job(note)
            await recorder.until(lambda: len(recorder.completed) == 2)
    assert recorder.lost == recorder.failed == []


@pytest.mark.parametrize("level", ["serializable", "repeatable read"])
async def test_they_run_at_read_committed(
    engine: AsyncEngine, tasks: TaskRegistry, database: str, recorder: Recorder, add_job: AddJob, log: Log, level: str
) -> None:
    """A row that another transaction has changed meanwhile is an error at the stricter levels."""

    @tasks.task("note")
    async def note() -> None: ...

    seen = "create table seen as select current_setting('transaction_isolation') as level limit 0"
    watch = """create function watch() returns trigger language plpgsql as $$ begin
  insert into public.seen values (current_setting('transaction_isolation')); return null; end $$"""
    trigger = (
        "create trigger watch after update or delete on graphile_worker._private_jobs "
        "for each statement execute function watch()"
    )
    for sql in (seen, watch, trigger):
        await call_asyncio(rows, database, sql)
    try:
        strict = level.upper()
        async with worker_engine(
            database, isolation_level=strict, server_settings={"default_transaction_isolation": level}
        ) as engine_at_level:
            await add_job(note)
            await Runner(engine_at_level, tasks, OFTEN, observers=[recorder]).run_once()
        found = {row["level"] for row in await call_asyncio(rows, database, "select * from seen")}
    finally:
        await call_asyncio(rows, database, "drop function watch cascade")
        await call_asyncio(rows, database, "drop table seen")
    assert found == {"read committed"}


def test_the_lease_counts_the_time_for_which_the_machine_slept() -> None:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    if clock is None:
        pytest.skip("this system has no clock that counts it")
    before = time.clock_gettime(clock)
    assert before <= lease_clock() <= time.clock_gettime(clock)


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


async def test_a_pool_that_is_smaller_than_the_slots_is_said(
    engine: AsyncEngine, tasks: TaskRegistry, database: str, log: Log
) -> None:
    """Where handlers take sessions."""
    settings = RunnerSettings(concurrency=4)

    @tasks.task("note")
    async def note() -> None: ...

    says = "the engine's pool has 3 connections for 4 slots"
    async with worker_engine(database, pool_size=2, max_overflow=1) as small:
        await Runner(small, tasks, settings).run_once()
        assert not log.with_text(says)

        @tasks.task("write")
        async def write(session: AsyncSession) -> None: ...

        await Runner(small, tasks, settings).run_once()
        assert len(log.with_text(says)) == 1
    for options in ({"pool_size": 2, "max_overflow": 2}, {"poolclass": NullPool}, {"pool_size": 1, "max_overflow": -1}):
        async with worker_engine(database, **options) as enough:
            await Runner(enough, tasks, settings).run_once()
    assert len(log.with_text(says)) == 1
