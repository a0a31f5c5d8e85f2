"""Behind PgBouncer: the worker in session mode, what adds jobs in transaction mode too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import (
    AsyncSession,
    JobRepository,
    JobState,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
    call_asyncio,
)
from gw_sqla.driver import database_loop
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
async def transaction_mode(pgbouncer: str, clean_database: str, anyio_backend: str) -> AsyncIterator[AsyncEngine]:
    """An engine as SQLAlchemy's manual says for PgBouncer in transaction mode."""
    with start_pgbouncer(pgbouncer, clean_database, "transaction") as url:
        async with database_loop():
            arguments = {"statement_cache_size": 0, "prepared_statement_name_func": lambda: f"gw_sqla_{uuid4().hex}"}
            engine = create_async_engine(
                url, poolclass=NullPool, connect_args={**arguments, "prepared_statement_cache_size": 0}
            )
            yield engine
            await call_asyncio(engine.dispose)


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


async def test_adding_jobs_in_transaction_mode(transaction_mode: AsyncEngine, repo: JobRepository) -> None:
    sessions = async_sessionmaker(transaction_mode)
    for n in range(20):
        async with sessions.begin() as session:
            job = await repo.add_job(session, "note", n, job_key=f"k{n % 7}")
            assert job.payload == n
    async with sessions() as session:
        assert (await repo.count_jobs_by_state(session))[JobState.READY] == 7
