"""The kit for sync sessions: the same, on sync drivers, and inside an AsyncSession's run_sync."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sniffio
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from gw_sqla import (
    AsyncSession,
    JobContext,
    JobTesterError,
    Snooze,
    SyncJobRepository,
    TaskRegistry,
)
from gw_sqla.testing import JobTester, SyncJobTester, rolled_back_sync_session, within

WRITE = text("insert into notes values (:note)")


@pytest.fixture(params=["psycopg", "psycopg2"])
def sync_session(request: pytest.FixtureRequest, clean_database: str) -> Iterator[Session]:
    engine = create_engine(make_url(clean_database).set(drivername=f"postgresql+{request.param}"))
    with rolled_back_sync_session(engine) as session:
        session.execute(text("create table notes (note text)"))
        session.commit()
        yield session
    engine.dispose()


@pytest.fixture
def sync_jobs(sync_session: Session, tasks: TaskRegistry) -> SyncJobTester:
    return SyncJobTester(sync_session, tasks)


def notes(session: Session) -> list[str]:
    return list(session.scalars(text("select note from notes order by note")))


def declare(tasks: TaskRegistry, repo: SyncJobRepository) -> None:
    @tasks.task("write")
    async def write(payload: str, ctx: JobContext) -> None:
        async with ctx.session() as own:
            await own.execute(WRITE, {"note": payload})
            repo.add_job_on_commit(own, "sync", payload)
        await ctx.add_job("later", payload, run_at=datetime.now(UTC) + timedelta(hours=1))

    @tasks.task("sync")
    def sync(payload: str) -> None: ...

    @tasks.task("later", transactional=True)
    async def later(payload: str, own: AsyncSession) -> None:
        await own.execute(WRITE, {"note": f"{payload} later"})

    @tasks.task("fails", max_attempts=1)
    async def fails(own: AsyncSession) -> None:
        await own.execute(WRITE, {"note": "lost"})
        raise LookupError("no such order")

    @tasks.task("loop")
    async def loop(payload: str) -> None:
        assert sniffio.current_async_library() == payload


def test_jobs(sync_session: Session, sync_jobs: SyncJobTester, tasks: TaskRegistry) -> None:
    repo = SyncJobRepository()
    declare(tasks, repo)
    repo.add_job(sync_session, tasks["write"], "a", queue_name="q")
    repo.add_job_on_commit(sync_session, tasks["fails"])
    sync_session.commit()
    sync_jobs.assert_added("write", "a", count=1, queue_name="q", run_at=within("1m"))
    with pytest.raises(AssertionError, match="payload: expected 'b', is 'a'"):
        sync_jobs.assert_added("write", "b")
    report = sync_jobs.run_jobs(errors="record")
    assert str(report) == "completed 2, failed 1, retried 0, snoozed 0"
    assert notes(sync_session) == ["a"]
    sync_jobs.refute_added("sync")
    sync_jobs.travel(hours=1, seconds=1)
    assert len(sync_jobs.run_jobs("later").completed) == 1
    assert notes(sync_session) == ["a", "a later"]
    with pytest.raises(LookupError, match="no such order") as error:
        sync_jobs.run(tasks["fails"])
    assert error.traceback[-1].name == "fails"
    sync_jobs.run("write", "b")
    assert notes(sync_session) == ["a", "a later", "b"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_all_that_a_handlers_session_does(sync_session: Session, tasks: TaskRegistry, backend: Any) -> None:
    """It is an AsyncSession, whatever the driver."""
    seen: list[Any] = []
    rows = text("select * from generate_series(1, 3) as number")

    @tasks.task("asks")
    async def asks(own: AsyncSession) -> None:
        seen.append((await own.execute(rows)).all())
        seen.append((await own.scalars(rows)).all())
        seen.append(await own.scalar(rows))
        seen.append([row async for row in await own.stream(rows)])
        seen.append((await own.execute(rows)).first())
        await own.run_sync(lambda sync: sync.execute(rows))
        async with own.begin_nested() as savepoint:
            await own.execute(WRITE, {"note": "lost"})
            await savepoint.rollback()
        await own.execute(WRITE, {"note": "a"})
        await own.flush()

    SyncJobRepository().add_job(sync_session, asks)
    assert len(SyncJobTester(sync_session, tasks, backend=backend).run_jobs().completed) == 1
    assert seen == [[(1,), (2,), (3,)], [1, 2, 3], 1, [(1,), (2,), (3,)], (1,)]
    assert notes(sync_session) == ["a"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_event_loops(sync_session: Session, tasks: TaskRegistry, backend: Any) -> None:
    declare(tasks, SyncJobRepository())
    jobs = SyncJobTester(sync_session, tasks, backend=backend)
    jobs.run("loop", backend)
    jobs.run("write", "a")
    assert notes(sync_session) == ["a"]
    assert len(jobs.run_jobs().completed) == 1


def test_a_scoped_session(sync_session: Session, tasks: TaskRegistry) -> None:
    """As Flask-SQLAlchemy has."""

    @tasks.task("snoozes")
    def snoozes() -> Snooze:
        return Snooze(timedelta(hours=1))

    scoped = scoped_session(sessionmaker(sync_session.connection(), join_transaction_mode="create_savepoint"))
    SyncJobRepository().add_job(scoped, snoozes)
    scoped.commit()
    assert len(SyncJobTester(scoped, tasks).run_jobs().snoozed) == 1
    scoped.remove()


def test_refusals(sync_session: Session, tasks: TaskRegistry) -> None:
    with pytest.raises(JobTesterError, match=r"must be a Session, not object \(for AsyncSession: JobTester\)"):
        SyncJobTester(object(), tasks)  # type: ignore[arg-type]
    with pytest.raises(JobTesterError, match="backend: must be"):
        SyncJobTester(sync_session, tasks, backend="curio")  # type: ignore[arg-type]
    with Session(sync_session.get_bind().engine) as plain, pytest.raises(JobTesterError, match="bound to an engine"):
        SyncJobTester(plain, tasks)


@pytest.mark.anyio
async def test_inside_an_async_session(session: AsyncSession, tasks: TaskRegistry) -> None:
    """A sync function under an AsyncSession, as run_sync calls it: on asyncpg, and on trio."""
    declare(tasks, repo := SyncJobRepository())

    def work(plain: Session) -> str:
        repo.add_job(plain, tasks["write"], "a")
        jobs = SyncJobTester(plain, tasks)
        jobs.assert_added("write", count=1)
        return str(jobs.run_jobs())

    assert await session.run_sync(work) == "completed 2, failed 0, retried 0, snoozed 0"
    assert list(await session.scalars(text("select note from notes"))) == ["a"]


@pytest.mark.anyio
async def test_a_thread_that_runs_a_loop(kind: str, clean_database: str, tasks: TaskRegistry) -> None:
    declare(tasks, SyncJobRepository())
    engine = create_engine(make_url(clean_database).set(drivername="postgresql+psycopg"))
    with rolled_back_sync_session(engine) as session, pytest.raises(JobTesterError, match="this thread runs one"):
        SyncJobTester(session, tasks).run("sync", "a")
    engine.dispose()


def test_the_methods_are_the_same() -> None:
    def methods(tester: type) -> dict[str, Any]:
        return {
            name: inspect.signature(method).parameters
            for name, method in inspect.getmembers(tester, inspect.isfunction)
            if not name.startswith("_") and name != "check_awaited"
        }

    assert methods(JobTester) == methods(SyncJobTester)
    assert SyncJobTester.run_jobs.__doc__ == JobTester.run_jobs.__doc__
