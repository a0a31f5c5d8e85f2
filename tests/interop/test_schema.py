"""Each kind works in the schema that the other has made, under any name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import anyio
import asyncpg
import pytest
from sqlalchemy import NullPool, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import (
    JobRepository,
    JobRow,
    JobSpec,
    RunCounts,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
    migrate,
)
from gw_sqla.database.event_loops import call_asyncio, database_loop
from tests.interop.conftest import Environment
from tests.interop.node import call, run_once
from tests.schema.catalog import Catalog, read
from tests.schema.peer import peer_environment
from tests.schema.waiting import until_blocking
from tests.support.server import Server, connect

pytestmark = pytest.mark.anyio

Look = Callable[[], Awaitable[tuple[Catalog, list[asyncpg.Record]]]]
"""Read the schema's catalog, and its ledger row by row."""


@pytest.fixture(params=["graphile_worker", 'The "Job" Queue'], ids=["default", "quoted"])
def schema(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def quoted(schema: str) -> str:
    return '"' + schema.replace('"', '""') + '"'


@pytest.fixture
def empty_database(server: Server) -> Iterator[str]:
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
async def empty_engine(empty_database: str, anyio_backend: str) -> AsyncIterator[AsyncEngine]:
    async with database_loop():
        engine = create_async_engine(empty_database, poolclass=NullPool)
        yield engine
        await call_asyncio(engine.dispose)


@pytest.fixture
def there(empty_database: str, schema: str) -> Environment:
    """The environment in which Node finds the empty database, and the schema's name."""
    return peer_environment(make_url(empty_database), schema)


@pytest.fixture
def look(empty_database: str, schema: str, quoted: str) -> Look:
    async def in_asyncio() -> tuple[Catalog, list[asyncpg.Record]]:
        connection = await connect(empty_database)
        try:
            ledger = await connection.fetch(f"select xmin::text, * from {quoted}.migrations order by id")
            return await read(connection, schema), ledger
        finally:
            await connection.close()

    return lambda: call_asyncio(in_asyncio)


@pytest.fixture
def tasks() -> TaskRegistry:
    tasks = TaskRegistry()

    @tasks.task("ours")
    async def ours(payload: dict[str, int]) -> None:
        assert payload == {"n": 1}

    return tasks


async def jobs(url: str, quoted: str) -> list[asyncpg.Record]:
    connection = await connect(url)
    try:
        return await connection.fetch(f"select xmin::text, * from {quoted}._private_jobs order by id")
    finally:
        await connection.close()


async def test_node_works_in_what_we_made(
    empty_engine: AsyncEngine, tasks: TaskRegistry, there: Environment, schema: str, look: Look, peers_own: Catalog
) -> None:
    report = await migrate(empty_engine, schema=schema)
    assert report.action == "created"
    before, ledger = await look()
    repo = JobRepository(schema)
    async with async_sessionmaker(empty_engine).begin() as session:
        await repo.add_job(session, "node's", {"n": 1})
    await call(there, ["migrate"], ["addJob", "ours", {"n": 1}])
    (seen,) = await run_once(there, {"node's": "pass"})
    assert seen["payload"] == {"n": 1}
    after, new_ledger = await look()
    assert after == before | peers_own, "Node changed the schema"
    assert new_ledger[: len(ledger)] == ledger, "Node changed the ledger"
    settings = RunnerSettings(schema=schema)
    assert await Runner(empty_engine, tasks, settings).run_once() == RunCounts(completed=1, failed=0)


async def test_we_work_in_what_node_made(
    empty_engine: AsyncEngine, empty_database: str, tasks: TaskRegistry, there: Environment, schema: str, quoted: str
) -> None:
    await call(
        there,
        ["migrate"],
        ["addJob", "ours", {"n": 1}, {"queueName": "q", "jobKey": "k", "flags": ["f"]}],
        ["addJob", "node's", {"n": 2}, {"runAt": "2124-01-01T00:00:00Z"}],
        ["addJob", "node's", {"n": 3}, {"maxAttempts": 1}],
    )
    await run_once(there, {"node's": "fail"})  # one job has failed for good
    before = await call_asyncio(jobs, empty_database, quoted)
    assert len(before) == 3
    report = await migrate(empty_engine, schema=schema)
    assert report.action == "adopted"
    assert await call_asyncio(jobs, empty_database, quoted) == before

    settings = RunnerSettings(schema=schema)
    assert await Runner(empty_engine, tasks, settings).run_once() == RunCounts(completed=1, failed=0)
    left = await call_asyncio(jobs, empty_database, quoted)
    assert left == [row for row in before if row["key"] != "k"]
    await call(there, ["migrate"], ["addJob", "node's", {"n": 4}])
    assert [job["payload"] for job in await run_once(there, {"node's": "pass"})] == [{"n": 4}]


@pytest.mark.parametrize("how", ["add_job", "add_jobs"])
async def test_a_key_whose_job_is_claimed_meanwhile_loses_no_job(
    empty_engine: AsyncEngine, empty_database: str, there: Environment, schema: str, quoted: str, how: str
) -> None:
    """Node's functions return nothing then, and have added nothing."""
    await call(there, ["migrate"], ["addJob", "ours", {"n": 1}, {"jobKey": "k"}])
    await migrate(empty_engine, schema=schema)
    claimer, watcher = [await call_asyncio(connect, empty_database) for _ in range(2)]
    repo = JobRepository(schema)
    added: list[JobRow] = []

    async def add() -> None:
        async with async_sessionmaker(empty_engine).begin() as session:
            if how == "add_job":
                added.append(await repo.add_job(session, "ours", {"n": 2}, job_key="k"))
            else:
                keyed = JobSpec(task_identifier="ours", payload={"n": 2}, job_key="k")
                added.extend(await repo.add_jobs(session, [JobSpec(task_identifier="ours"), keyed]))

    await call_asyncio(claimer.execute, "begin")
    await call_asyncio(
        claimer.execute, f"update {quoted}._private_jobs set locked_at = now(), locked_by = 'node', attempts = 1"
    )
    async with anyio.create_task_group() as group:
        group.start_soon(add)
        await until_blocking(watcher, claimer)
        await call_asyncio(claimer.execute, "commit")
    for connection in (claimer, watcher):
        await call_asyncio(connection.close)
    old, *new = await call_asyncio(jobs, empty_database, quoted)
    assert (old["key"], old["locked_by"]) == (None, "node")
    assert [row["id"] for row in new] == [job.id for job in added]
    assert (new[-1]["key"], new[-1]["payload"]) == ("k", '{"n":2}')
