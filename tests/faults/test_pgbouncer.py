"""Behind PgBouncer: workers and what adds jobs, in session mode and in transaction mode."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import (
    AsyncSession,
    JobContext,
    JobRepository,
    JobState,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
    call_asyncio,
)
from gw_sqla.cli.engine import connected
from tests.support.log import Log
from tests.support.pgbouncer import find_pgbouncer, start_pgbouncer
from tests.support.recorder import Recorder

pytestmark = pytest.mark.anyio


@pytest.fixture
def pgbouncer() -> str:
    program = find_pgbouncer()
    if program is None:
        pytest.skip("PgBouncer is not installed (Debian: apt-get install pgbouncer)")
    return program


@pytest.fixture
def session_mode(pgbouncer: str, clean_database: str) -> Iterator[str]:
    with start_pgbouncer(pgbouncer, clean_database, "session") as url:
        yield url


@pytest.fixture
def transaction_mode(pgbouncer: str, clean_database: str) -> Iterator[str]:
    with start_pgbouncer(pgbouncer, clean_database, "transaction") as url:
        yield url


async def test_worker_in_session_mode(
    session_mode: str,
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: async_sessionmaker[AsyncSession],
    repo: JobRepository,
) -> None:
    @tasks.task("note")
    async def note(payload: int) -> None: ...

    far = create_async_engine(session_mode, pool_size=1, max_overflow=0)
    async with Runner(far, tasks, RunnerSettings(poll_interval=timedelta(hours=1)), observers=[recorder]):
        for n in range(20):  # the first is found by a claim, the others are announced
            async with sessions.begin() as session:
                await repo.add_job(session, note, n, queue_name=f"q{n % 3}")
            await recorder.until(lambda least=n: len(recorder.completed) > least)  # type: ignore[misc]
    await call_asyncio(far.dispose)
    assert recorder.lost == recorder.failed == []


async def test_workers_in_transaction_mode(
    transaction_mode: str, tasks: TaskRegistry, recorder: Recorder, repo: JobRepository, log: Log
) -> None:
    """Two workers, more clients than connections to the server, handlers with sessions of their own."""

    @tasks.task("note")
    async def note(payload: int, ctx: JobContext) -> None:
        async with ctx.session() as session:
            assert await session.scalar(text("select :n * 2"), {"n": payload}) == payload * 2
        if payload % 5 == 0 and ctx.job.attempts == 1:
            raise ValueError

    settings = RunnerSettings(transaction_pooler=True, poll_interval=timedelta(milliseconds=50), concurrency=5)
    url = make_url(transaction_mode)
    async with connected(url, transaction_pooler=True) as first, connected(url, transaction_pooler=True) as second:
        for n in range(40):
            async with async_sessionmaker(first).begin() as session:
                await repo.add_job(session, note, n, queue_name=f"q{n % 7}" if n % 2 else None, job_key=f"k{n}")
        async with (
            Runner(first, tasks, settings, observers=[recorder]),
            Runner(second, tasks, settings, observers=[recorder]),
        ):
            await recorder.until(lambda: len(recorder.completed) == 32 and len(recorder.failed) == 8, seconds=60)
        async with async_sessionmaker(first)() as session:
            counts = await repo.count_jobs_by_state(session)
    assert counts[JobState.SCHEDULED] + counts[JobState.READY] == 8
    assert counts[JobState.LOCKED] == counts[JobState.FAILED] == 0
    assert all(line.endswith(": ValueError") for line in log.lines), log.lines
    assert recorder.lost == []
