"""Behind PgBouncer: workers and what adds jobs, in session mode and in transaction mode."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
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
from gw_sqla.worker import schema_watch
from tests.cli.command import run
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
    async with connected(url) as first, connected(url) as second:
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
    assert counts[JobState.RETRYING] + counts[JobState.READY] == 8
    assert counts[JobState.LOCKED] == counts[JobState.FAILED] == 0
    assert all(line.endswith(": ValueError") for line in log.lines), log.lines
    assert recorder.lost == []


@pytest.fixture
async def serializable(clean_database: str, sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[None]:
    """What the worker sets is not what the database has."""
    name = make_url(clean_database).database
    async with sessions.begin() as session:
        await session.execute(text(f"alter database {name} set default_transaction_isolation = serializable"))
    yield
    async with sessions.begin() as session:
        await session.execute(text(f"alter database {name} reset default_transaction_isolation"))


async def test_a_worker_in_transaction_mode_leaves_no_setting_in_a_session(
    serializable: None,
    transaction_mode: str,
    tasks: TaskRegistry,
    recorder: Recorder,
    repo: JobRepository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next transaction of that server's session is another client's."""
    monkeypatch.setattr(schema_watch, "_INTERVAL", timedelta(milliseconds=10))
    settings = RunnerSettings(
        concurrency=2,
        transaction_pooler=True,
        poll_interval=timedelta(milliseconds=50),
        heartbeat_interval=timedelta(milliseconds=20),
        sweep_interval=timedelta(milliseconds=20),
    )
    changed = text(  # asyncpg itself turns jit off and on, in two transactions
        "select array_agg(name order by name) from pg_settings where setting <> reset_val and name <> 'jit'"
    )

    @tasks.task("note")
    async def note() -> None: ...

    async with connected(make_url(transaction_mode), pool_size=2) as engine:
        sessions = async_sessionmaker(engine)
        async with sessions() as session:
            before = await session.scalar(changed)
        async with Runner(engine, tasks, settings, observers=[recorder]):
            for jobs in range(1, 10):
                async with sessions.begin() as session:
                    await repo.add_job(session, note)
                    assert await session.scalar(changed) == before
                await recorder.until(lambda least=jobs: len(recorder.completed) == least)  # type: ignore[misc]
        async with sessions() as session:
            assert await session.scalar(changed) == before


@pytest.mark.parametrize(
    "command",
    [
        ("cleanup", "--failed-after", "1d", "--yes", "--actor", "ada"),
        ("cleanup", "--dry-run"),
        ("workers", "sweep"),
        ("workers", "sweep", "--dry-run"),
        ("jobs", "retry", "--all"),
        ("pause", "--everything"),
        ("add", "greet"),
    ],
)
def test_commands_in_transaction_mode(transaction_mode: str, command: tuple[str, ...]) -> None:
    """Each of them twice: what the first left behind in the server's connection would be in the way of the second."""
    for _ in range(2):
        done = run(*command, "--database-url", transaction_mode)
        assert done.returncode == 0, done.stderr
