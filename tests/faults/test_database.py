"""Faults that the server answers with: each is waited out, said once, and no job is lost or run twice at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import Runner, RunnerSettings, TaskRegistry
from gw_sqla.database.event_loops import call_asyncio
from tests.support.log import Log
from tests.support.recorder import Recorder
from tests.support.server import Server, connect, execute
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

CLAIMING = "claiming jobs"
WRITING = "writing what became of jobs"
OFTEN = RunnerSettings(concurrency=2, poll_interval=timedelta(milliseconds=50))


@asynccontextmanager
async def engine_with(url: str, **settings: str) -> AsyncIterator[AsyncEngine]:
    """Open an engine whose sessions have settings of the server's; at the end no connection may be checked out."""
    engine = create_async_engine(url, connect_args={"server_settings": settings})
    yield engine
    checked_out: Any = engine.pool
    assert checked_out.checkedout() == 0, "a connection was left checked out"
    await call_asyncio(engine.dispose)


@asynccontextmanager
async def adversary(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Open a connection that is not the worker's; use it by `call_asyncio`."""
    connection = await call_asyncio(connect, url)
    yield connection
    await call_asyncio(connection.close)


@pytest.fixture
def limited_role(server: Server, clean_database: str) -> Iterator[str]:
    """The URL of a role that may do all, but is no superuser, for whom no limit of connections would hold."""
    server.execute("create role gw_sqla_limited login bypassrls password 'secret'")
    grants = "grant usage on schema graphile_worker to gw_sqla_limited; "
    grants += "grant all on all tables in schema graphile_worker to gw_sqla_limited; "
    grants += "grant all on all sequences in schema graphile_worker to gw_sqla_limited"
    asyncio.run(execute(clean_database, grants))
    yield make_url(clean_database).set(username="gw_sqla_limited", password="secret").render_as_string(False)
    asyncio.run(execute(clean_database, "drop owned by gw_sqla_limited"))
    server.execute("drop role gw_sqla_limited")


async def test_no_connection_is_to_be_had(
    engine: AsyncEngine,
    limited_role: str,
    clean_database: str,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    log: Log,
) -> None:
    """53300, as when max_connections is used up, from the moment when the worker has lost those it had."""

    @tasks.task("note")
    async def note(payload: int) -> None: ...

    async with engine_with(limited_role) as limited, Runner(limited, tasks, OFTEN, observers=[recorder]):
        await add_job(note, 1)
        await recorder.until(lambda: recorder.completed)
        await call_asyncio(execute, clean_database, "alter role gw_sqla_limited connection limit 0")
        kill = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'gw_sqla_limited'"
        await call_asyncio(execute, clean_database, kill)
        await log.until(lambda: log.about(CLAIMING))
        await add_job(note, 2)
        await call_asyncio(execute, clean_database, "alter role gw_sqla_limited connection limit -1")
        await recorder.until(lambda: len(recorder.completed) == 2, seconds=60)
    log.assert_said_once(CLAIMING)
    assert [outcome.job.attempts for outcome in recorder.completed] == [1, 1]


async def test_statement_timeout_of_a_claim(
    engine: AsyncEngine,
    clean_database: str,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    log: Log,
) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    await add_job(note)
    async with (
        engine_with(clean_database, statement_timeout="1s") as hurried,
        adversary(clean_database) as other,
        Runner(hurried, tasks, OFTEN, observers=[recorder]),
    ):
        await recorder.until(lambda: recorder.completed)
        await call_asyncio(other.execute, "begin; lock table graphile_worker._private_jobs in exclusive mode")
        await log.until(lambda: log.about(CLAIMING))
        await call_asyncio(other.execute, "rollback")
        await add_job(note)
        await recorder.until(lambda: len(recorder.completed) == 2, seconds=60)
    log.assert_said_once(CLAIMING)
    assert "statement timeout" in log.about(CLAIMING)[0]
    assert recorder.failed == recorder.lost == []


ONCE = """create sequence tries;
create function refuse_once() returns trigger language plpgsql as $$ begin
  if nextval('public.tries') = 1 then raise exception 'once' using errcode = '{}'; end if;
  return old;
end $$;
create trigger refuse_once before delete on graphile_worker._private_jobs
for each row execute function refuse_once()"""
FORGET_ONCE = "drop function refuse_once cascade; drop sequence tries"


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "57014", "53200"])
async def test_a_completion_that_is_cut_off_is_tried_again(
    engine: AsyncEngine,
    clean_database: str,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    log: Log,
    sqlstate: str,
) -> None:
    """By a serialization failure, a deadlock, a statement's timeout, for want of memory."""

    @tasks.task("note")
    async def note() -> None: ...

    await call_asyncio(execute, clean_database, ONCE.format(sqlstate))
    try:
        async with Runner(engine, tasks, OFTEN, observers=[recorder]):
            await add_job(note, queue_name="q")
            await recorder.until(lambda: recorder.completed, seconds=60)
    finally:
        await call_asyncio(execute, clean_database, FORGET_ONCE)
    log.assert_said_once(WRITING)
    assert "once" in log.about(WRITING)[0]
    assert len(recorder.started) == 1
    assert recorder.lost == []
