"""Each kind works in the schema that the other has made, under any name; neither touches the other's jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import JobRepository, RunCounts, Runner, RunnerSettings, TaskRegistry, async_sessionmaker, migrate
from gw_sqla.database.event_loops import call_asyncio, database_loop
from tests.interop_rust.conftest import Environment
from tests.interop_rust.rust import call, run_once, rust_environment
from tests.support.server import Server, connect

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["graphile_worker", 'The "Job" Queue'], ids=["default", "quoted"])
def schema(request: pytest.FixtureRequest) -> str:
    return str(request.param)


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
    return rust_environment(empty_database, schema)


@pytest.fixture
def tasks() -> TaskRegistry:
    tasks = TaskRegistry()

    @tasks.task("ours")
    async def ours(payload: dict[str, int]) -> None:
        assert payload == {"n": 1}

    return tasks


async def rows(url: str, schema: str, table: str) -> list[asyncpg.Record]:
    """Read a table with what PostgreSQL says about who wrote each row last."""
    connection = await connect(url)
    try:
        name = '"' + schema.replace('"', '""') + '"'
        return await connection.fetch(f"select xmin::text, * from {name}.{table} order by id")
    finally:
        await connection.close()


async def test_rust_works_in_what_we_made(
    empty_engine: AsyncEngine, empty_database: str, tasks: TaskRegistry, there: Environment, schema: str
) -> None:
    assert (await migrate(empty_engine, schema=schema)).action == "created"
    repo = JobRepository(schema)
    async with async_sessionmaker(empty_engine).begin() as session:
        await repo.add_job(session, "pass", {"n": 1}, queue_name="q", job_key="k")
    before = await call_asyncio(rows, empty_database, schema, "_private_jobs")
    ledger = await call_asyncio(rows, empty_database, schema, "migrations")
    await call(there, ["migrate"])
    assert await call_asyncio(rows, empty_database, schema, "_private_jobs") == before
    new_ledger = await call_asyncio(rows, empty_database, schema, "migrations")
    assert new_ledger[: len(ledger)] == ledger
    assert [(row["id"], row["breaking"]) for row in new_ledger[len(ledger) :]] == [(n, False) for n in (20, 21, 22)]
    assert [job["payload"] for job in await run_once(there, ["pass"])] == [{"n": 1}]
    assert (await migrate(empty_engine, schema=schema)).action == "unchanged"
    await call(there, ["add_job", "ours", {"n": 1}, {"queue_name": "q", "job_key": "k"}])
    settings = RunnerSettings(schema=schema)
    assert await Runner(empty_engine, tasks, settings).run_once() == RunCounts(completed=1, failed=0)


async def test_we_work_in_what_rust_made(
    empty_engine: AsyncEngine, empty_database: str, tasks: TaskRegistry, there: Environment, schema: str
) -> None:
    await call(
        there,
        ["add_job", "ours", {"n": 1}, {"queue_name": "q", "job_key": "k"}],
        ["add_job", "fail", {"n": 3}, {"max_attempts": 1}],
    )
    await run_once(there, ["fail"])  # one job has failed for good
    before = await call_asyncio(rows, empty_database, schema, "_private_jobs")
    assert (await migrate(empty_engine, schema=schema)).action == "adopted"
    assert await call_asyncio(rows, empty_database, schema, "_private_jobs") == before
    settings = RunnerSettings(schema=schema)
    assert await Runner(empty_engine, tasks, settings).run_once() == RunCounts(completed=1, failed=0)
    assert [row["key"] for row in await call_asyncio(rows, empty_database, schema, "_private_jobs")] == [None]
    await call(there, ["add_job", "pass", {"n": 4}, {}])
    assert [job["payload"] for job in await run_once(there, ["pass"])] == [{"n": 4}]
