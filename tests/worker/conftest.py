"""What the runner's tests share: a registry, a repository, adding jobs in one line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from gw_sqla import AsyncSession, JobRepository, JobRow, RunnerSettings, Task, TaskRegistry, async_sessionmaker
from tests.support.log import Log, kept_log
from tests.support.recorder import Recorder

AddJob = Callable[..., Awaitable[JobRow]]

ONLY_NOTIFIED = RunnerSettings(poll_interval=timedelta(hours=1), concurrency=4)
"""Settings under which a job that is not announced is never claimed within a test."""


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
async def log(anyio_backend: str) -> AsyncIterator[Log]:
    """What gw_sqla logs during the test."""
    with kept_log() as log:
        yield log


@pytest.fixture
def add_job(sessions: async_sessionmaker[AsyncSession], repo: JobRepository) -> AddJob:
    """Add one job in a transaction of its own."""

    async def add(task: Task[Any] | str, payload: Any = None, **options: Any) -> JobRow:
        async with sessions.begin() as session:
            return await repo.add_job(session, task, payload, **options)

    return add
