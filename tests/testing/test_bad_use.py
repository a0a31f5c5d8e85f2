"""What could not test anything is told at once."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gw_sqla import (
    AsyncSession,
    JobRepository,
    JobTesterError,
    RunnerSettings,
    SchemaBehindError,
    SchemaMissingError,
    SessionError,
    TaskRegistry,
    call_asyncio,
)
from gw_sqla.testing import JobTester, rolled_back_session

pytestmark = pytest.mark.anyio


@pytest.fixture
def tasks() -> TaskRegistry:
    tasks = TaskRegistry()

    @tasks.task("note")
    async def note() -> None: ...

    return tasks


@asynccontextmanager
async def connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async def connect() -> AsyncConnection:
        return await engine.connect()

    connection = await call_asyncio(connect)
    try:
        yield connection
    finally:
        await call_asyncio(connection.close)


async def test_a_session_of_an_engine(kit_engine: AsyncEngine, tasks: TaskRegistry) -> None:
    async with AsyncSession(kit_engine) as session:
        with pytest.raises(JobTesterError, match=r"(?s)bound to an engine, so its commits are real.*create_savepoint"):
            JobTester(session, tasks)


async def test_a_connection_without_a_transaction(kit_engine: AsyncEngine, tasks: TaskRegistry) -> None:
    async with connected(kit_engine) as connection, AsyncSession(connection) as session:
        with pytest.raises(JobTesterError, match="in no transaction, so its commits are real"):
            JobTester(session, tasks)


async def test_a_session_that_controls_the_tests_transaction(kit_engine: AsyncEngine, tasks: TaskRegistry) -> None:
    async with connected(kit_engine) as connection:
        await call_asyncio(connection.begin().start)
        async with AsyncSession(connection, join_transaction_mode="control_fully") as session:
            with pytest.raises(JobTesterError, match="control_fully"):
                JobTester(session, tasks)
        for mode in ("rollback_only", "conditional_savepoint"):
            async with AsyncSession(connection, join_transaction_mode=mode) as session:
                await JobRepository().add_job(session, "note")
                assert len((await JobTester(session, tasks).run_jobs()).completed) == 1
                await session.commit()
    async with connected(kit_engine) as connection:
        autocommit = await call_asyncio(connection.execution_options, isolation_level="AUTOCOMMIT")
        await call_asyncio(autocommit.begin().start)
        async with AsyncSession(autocommit) as session:
            with pytest.raises(JobTesterError, match="AUTOCOMMIT"):
                JobTester(session, tasks)
    with pytest.raises(JobTesterError, match="connection is closed"):
        JobTester(session, tasks)


async def test_no_session(tasks: TaskRegistry) -> None:
    with pytest.raises(JobTesterError, match=r"must be an AsyncSession, not object"):
        JobTester(object(), tasks)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": TaskRegistry}, "tasks: must be a TaskRegistry, TaskRegistry"),
        ({"now": datetime(2030, 1, 1)}, "now: must be a datetime with a time zone"),
        ({"process_tasks": "there"}, "process_tasks: must be 'here' or 'refuse'"),
    ],
)
async def test_options(session: AsyncSession, tasks: TaskRegistry, options: dict[str, Any], message: str) -> None:
    everything: dict[str, Any] = {"tasks": tasks} | options
    with pytest.raises(JobTesterError, match=message):
        JobTester(session, **everything)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "nite"}, "did you mean 'note'"),
        ({"due": "never"}, "due: must be a datetime"),
        ({"limit": 0}, "limit: must be"),
        ({"errors": "ignore"}, "errors: must be"),
    ],
)
async def test_options_of_run_jobs(jobs: JobTester, options: dict[str, Any], message: str) -> None:
    with pytest.raises(JobTesterError, match=message):
        await jobs.run_jobs(**options)


async def test_options_of_travel(jobs: JobTester) -> None:
    wrong: list[dict[str, Any]] = [
        {},
        {"hours": 1, "to": datetime.now(UTC)},
        {"by": 5},
        {"by": timedelta(1), "hours": 1},
        {"days": 4_000_000},
        {"hours": float("nan")},
        {"hours": "1"},
    ]
    for options in wrong:
        with pytest.raises(JobTesterError, match="travel: "):
            await jobs.travel(**options)
    assert jobs.now < datetime.now(UTC) + timedelta(minutes=1)


async def test_no_worker_schema(kit_engine: AsyncEngine, tasks: TaskRegistry) -> None:
    async with rolled_back_session(kit_engine) as session:
        jobs = JobTester(session, tasks, settings=RunnerSettings(schema="nowhere"))
        with pytest.raises(SchemaMissingError, match=r"no worker schema 'nowhere'.*fixture gw_sqla_database"):
            await jobs.run_jobs()
    async with rolled_back_session(kit_engine) as session:
        jobs = JobTester(session, tasks, settings=RunnerSettings(schema="nowhere"))
        with pytest.raises(SchemaMissingError, match="gw_sqla_database"):
            await jobs.assert_added("note")


async def test_a_transaction_that_has_ended(kit_engine: AsyncEngine, tasks: TaskRegistry) -> None:
    """Its connection would begin another, which the session would commit."""
    async with connected(kit_engine) as connection:
        transaction = connection.begin()
        await call_asyncio(transaction.start)
        async with AsyncSession(connection, join_transaction_mode="create_savepoint") as session:
            jobs = JobTester(session, tasks)
            await call_asyncio(transaction.rollback)
            for call in (jobs.added, jobs.run_jobs):
                with pytest.raises(JobTesterError, match="transaction of the test has ended"):
                    await call()
            with pytest.raises(JobTesterError, match="transaction of the test has ended"):
                await jobs.run("note")
            assert not connection.in_transaction()


async def test_a_transaction_that_the_test_has_aborted(session: AsyncSession, jobs: JobTester) -> None:
    with pytest.raises(DBAPIError):
        await session.execute(text("select 1/0"))
    with pytest.raises(SessionError, match="an earlier statement failed"):
        await jobs.run_jobs()
    with pytest.raises(JobTesterError, match=r"an earlier statement of the test failed.*roll the test's session back"):
        await jobs.run("note")
    await session.rollback()
    await jobs.run("note")


async def test_an_older_worker_schema(
    session: AsyncSession, jobs: JobTester, repo: JobRepository, tasks: TaskRegistry
) -> None:
    await session.execute(text("drop table graphile_worker._private_sqla_pauses"))
    await repo.add_job(session, "note")
    with pytest.raises(SchemaBehindError, match=r"'graphile_worker' .* lacks what .*gw_sqla migrate"):
        await jobs.run_jobs()


async def test_what_is_not_awaited(session: AsyncSession, tasks: TaskRegistry) -> None:
    jobs = JobTester(session, tasks)
    _ = jobs.assert_added("note")
    with pytest.raises(JobTesterError, match=r"assert_added\(...\), called at .*test_bad_use.py:\d+, was not awaited"):
        jobs.added()
    with pytest.raises(JobTesterError, match="refute_added"):
        async with JobTester(session, tasks) as jobs:
            _ = jobs.refute_added("note")


async def test_an_error_of_the_tests_comes_first(session: AsyncSession, tasks: TaskRegistry) -> None:
    async def test() -> None:
        async with JobTester(session, tasks) as jobs:
            _ = jobs.travel(hours=1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as error:
        await test()
    with pytest.warns(RuntimeWarning, match=r"travel\(...\), called at .* was never awaited"):
        _drop(error)


def _drop(error: pytest.ExceptionInfo[ZeroDivisionError]) -> None:
    """Let nothing hold the frames of the test any more."""
    error.value.__traceback__ = None
    error._excinfo = None
    gc.collect()


async def test_a_handler_that_ends_the_tests_transaction(
    session: AsyncSession, tasks: TaskRegistry, repo: JobRepository
) -> None:
    """The test's own session is inside a savepoint that began before the job's."""

    @tasks.task("commits")
    async def commits() -> None:
        await session.execute(text("select 1"))
        await session.commit()

    await repo.add_job(session, commits)
    with pytest.raises(JobTesterError, match="commit the test's session before jobs run"):
        await JobTester(session, tasks).run_jobs()


async def test_a_handler_that_commits_the_tests_session_in_its_own_savepoint(
    session: AsyncSession, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("commits")
    async def commits() -> None:
        await session.execute(text("insert into notes values ('a')"))
        await session.commit()

    await repo.add_job(session, commits)
    await session.commit()
    assert len((await JobTester(session, tasks).run_jobs()).completed) == 1
