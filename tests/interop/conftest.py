"""Fixtures of the tests with Graphile Worker for Node.js on the same schema.

GW_SQLA_PEER is a folder that has ``node_modules/graphile-worker``; ``nox -s interop`` makes one for each version that
they are run against. Without it these tests are skipped; with it, whatever is missing fails them.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url

from gw_sqla import AsyncSession, JobRepository, JobRow, RunnerSettings, Task, TaskRegistry, async_sessionmaker
from gw_sqla.database.event_loops import call_asyncio
from tests.schema.catalog import Catalog
from tests.schema.peer import VERSIONS, peer_environment, peer_version
from tests.support.recorder import Recorder
from tests.support.server import connect

AddJob = Callable[..., Awaitable[JobRow]]
Fetch = Callable[..., Awaitable[list[asyncpg.Record]]]
MakeDue = Callable[[int], Awaitable[None]]
Environment = dict[str, str]

HOURLY = RunnerSettings(poll_interval=timedelta(hours=1))
"""Settings under which a worker finds within a test only what it is told of, or finds at its start."""


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.interop)


@pytest.fixture(scope="session", autouse=True)
def _peer() -> None:
    folder = os.environ.get("GW_SQLA_PEER")
    if not folder:
        pytest.skip("needs graphile-worker from npm: run nox -s interop, or set GW_SQLA_PEER")
    assert peer_version(folder) in VERSIONS


@pytest.fixture
def peers_own() -> Catalog:
    """What a schema has beside the contract when the installed Graphile Worker has been there."""
    return VERSIONS[peer_version(os.environ["GW_SQLA_PEER"])]


@pytest.fixture
def environment(clean_database: str) -> Environment:
    """The environment in which Node finds the module's database."""
    return peer_environment(make_url(clean_database))


@pytest.fixture
def tasks() -> TaskRegistry:
    return TaskRegistry()


@pytest.fixture
def repo() -> JobRepository:
    return JobRepository()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def add_job(sessions: async_sessionmaker[AsyncSession], repo: JobRepository) -> AddJob:
    """Add one job with the repository, in a transaction of its own."""

    async def add(task: Task[Any] | str, payload: Any = None, **options: Any) -> JobRow:
        async with sessions.begin() as session:
            return await repo.add_job(session, task, payload, **options)

    return add


@pytest.fixture
def make_due(sessions: async_sessionmaker[AsyncSession], repo: JobRepository) -> MakeDue:
    """Let the backoff of the job with this id be over."""

    async def make_due(job_id: int) -> None:
        async with sessions.begin() as session:
            assert len(await repo.reschedule_jobs(session, [job_id], run_at=datetime.now(UTC))) == 1

    return make_due


@pytest.fixture
def fetch(clean_database: str) -> Fetch:
    """Run plain SQL on a connection of its own, outside everything under test."""

    async def in_asyncio(sql: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
        connection = await connect(clean_database)
        try:
            return await connection.fetch(sql, *arguments)
        finally:
            await connection.close()

    async def fetch(sql: str, *arguments: Any) -> list[asyncpg.Record]:
        return await call_asyncio(in_asyncio, sql, arguments)

    return fetch
