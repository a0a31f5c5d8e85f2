"""Adding belongs to the caller's transaction: it commits with it, is undone with it, and leaves it open."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from gw_sqla import (
    AsyncSession,
    InvalidJobError,
    JobRepository,
    JobSpec,
    SessionError,
    SyncJobRepository,
    async_sessionmaker,
)
from tests.repository.look import Look

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


class Base(DeclarativeBase):
    """The application's own models."""


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)


async def add(repo: JobRepository, session: PlainSession, how: str) -> None:
    if how == "add_job":
        await repo.add_job(session, "a", queue_name="q")
    else:
        await repo.add_jobs(session, [JobSpec(task_identifier="a", queue_name="q")])


async def add_and_fail(repo: JobRepository, transaction: Any, how: str) -> None:
    async with transaction as entered:
        await add(repo, entered if isinstance(entered, PlainSession) else entered.session, how)
        raise ZeroDivisionError


async def count(look: Look) -> tuple[int, ...]:
    tables = ("_private_jobs", "_private_job_queues", "_private_tasks")
    return tuple([await look.value(f"select count(*) from {{s}}.{table}") for table in tables])


@pytest.mark.parametrize("how", ["add_job", "add_jobs"])
async def test_commit_adds_and_wakes_workers(sessions: Sessions, repo: JobRepository, look: Look, how: str) -> None:
    async with look.notifications() as heard:
        async with sessions() as session:
            session.add(Order(id=1))
            await add(repo, session, how)
            assert await count(look) == (0, 0, 0), "not before the commit"
            await session.commit()
        assert await count(look) == (1, 1, 1)
        assert await look.value("select count(*) from orders") == 1
    assert [notice["count"] for notice in heard] == [1]


@pytest.mark.parametrize("how", ["add_job", "add_jobs"])
async def test_rollback_leaves_nothing(sessions: Sessions, repo: JobRepository, look: Look, how: str) -> None:
    async with look.notifications() as heard:
        async with sessions() as session:
            await add(repo, session, how)
            await session.rollback()
        with pytest.raises(ZeroDivisionError):
            await add_and_fail(repo, sessions.begin(), how)
        async with sessions() as session:
            await add(repo, session, how)
    assert await count(look) == (0, 0, 0)
    assert heard == []


@pytest.mark.parametrize("how", ["add_job", "add_jobs"])
async def test_rollback_of_a_savepoint(sessions: Sessions, repo: JobRepository, look: Look, how: str) -> None:
    async with look.notifications() as heard, sessions.begin() as session:
        session.add(Order(id=1))
        with pytest.raises(ZeroDivisionError):
            await add_and_fail(repo, session.begin_nested(), how)
        async with session.begin_nested():
            await repo.add_job(session, "kept")
    assert [row["task_identifier"] for row in await look.rows("select * from {s}.jobs")] == ["kept"]
    assert await look.value("select count(*) from orders") == 1
    assert [notice["count"] for notice in heard] == [1]


async def test_the_transaction_stays_as_it_is(
    engine: AsyncEngine, sessions: Sessions, repo: JobRepository, look: Look
) -> None:
    """No method begins, commits, rolls back or flushes away what the caller has in the session."""
    ends: list[str] = []

    def note(name: str) -> Any:
        return lambda *_: ends.append(name)

    sync: Engine = engine.sync_engine
    for name in ("commit", "rollback", "savepoint", "begin"):
        event.listen(sync, name, note(name))
    async with sessions() as session:
        assert not session.in_transaction()
        await repo.add_job(session, "a")
        assert session.in_transaction()
        transaction = session.sync_session.get_transaction()
        order = Order(id=1)
        session.add(order)
        job, *_ = await repo.add_jobs(session, [JobSpec(task_identifier="a", job_key="k")])
        await repo.list_jobs(session)
        await repo.get_job(session, job.id)
        await repo.count_jobs_by_state(session)
        await repo.reschedule_jobs(session, [job.id])
        await repo.permanently_fail_jobs(session, [job.id])
        await repo.complete_jobs(session, [job.id])
        await repo.remove_job(session, "k")
        await repo.force_unlock_workers(session, ["pool-1"])
        assert session.sync_session.get_transaction() is transaction
        assert order in session
        assert ends == ["begin"]
        await session.commit()
        assert (await session.scalars(select(Order.id))).all() == [1]


async def test_a_database_error_passes_through(sessions: Sessions, repo: JobRepository, look: Look) -> None:
    await look.execute("alter table {s}._private_jobs add constraint no_b check (payload::text <> '\"b\"')")
    try:
        async with sessions() as session:
            with pytest.raises(DBAPIError) as raised:
                await repo.add_job(session, "a", "b")
            assert getattr(raised.value.orig, "sqlstate", None) == "23514"
            await session.rollback()
            await repo.add_job(session, "a")
            await session.commit()
    finally:
        await look.execute("alter table {s}._private_jobs drop constraint no_b")
    assert await count(look) == (1, 0, 1)


async def test_sqlalchemys_own_session(
    engine: AsyncEngine, repo: JobRepository, look: Look, anyio_backend: str
) -> None:
    """It speaks asyncio only: on trio that is said before anything is asked of it."""
    if anyio_backend == "trio":
        with pytest.raises(
            SessionError, match=r"^SQLAlchemy's own AsyncSession speaks asyncio only.*gw_sqla\.AsyncSession"
        ):
            await repo.add_job(PlainSession(engine), "a")
        assert await count(look) == (0, 0, 0)
        return
    async with PlainSession(engine) as session, session.begin():
        await repo.add_job(session, "a")
        assert len(await repo.list_jobs(session)) == 1
    assert await count(look) == (1, 0, 1)


async def test_what_is_not_an_async_session(engine: AsyncEngine, repo: JobRepository) -> None:
    with (
        Session(engine.sync_engine) as sync,
        pytest.raises(InvalidJobError, match=r"^session: .* not Session \(.*: SyncJobRepository"),
    ):
        await repo.add_job(sync, "a")  # type: ignore[call-overload] # that is the point
    with pytest.raises(InvalidJobError, match=r"^session: .* not AsyncSession \(.*: JobRepository"):
        SyncJobRepository().add_job(AsyncSession(engine), "a")  # type: ignore[call-overload] # that is the point
    with pytest.raises(InvalidJobError, match=r"^session: .* not AsyncEngine"):
        await repo.count_jobs_by_state(engine)  # type: ignore[arg-type] # that is the point
