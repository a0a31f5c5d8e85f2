"""Sessions as test suites have them, and what one connection for all of them means."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext import asyncio as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gw_sqla import AsyncSession, JobContext, JobRepository, ModelJobs, TaskRegistry
from gw_sqla.testing import JobTester, rolled_back_session
from tests.testing.conftest import notes

pytestmark = pytest.mark.anyio

WRITE = text("insert into notes values (:note)")


class Base(DeclarativeBase): ...


class Order(Base):
    __tablename__ = "kit_orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]


@pytest.fixture
def rules(repo: JobRepository) -> Iterator[ModelJobs]:
    rules = ModelJobs(repo)
    rules.on_insert(Order, "ship", lambda order: {"id": order.id})
    yield rules
    rules.remove()


@pytest.mark.parametrize("kind", ["asyncio+asyncpg", "asyncio+psycopg"])
async def test_sqlalchemys_own_classes(kit_engine: AsyncEngine, tasks: TaskRegistry, repo: JobRepository) -> None:
    """The recipe as its documentation has it, and a scoped session."""

    @tasks.task("note")
    async def note(ctx: JobContext) -> None:
        async with ctx.session() as own:
            await own.execute(text("create table by_handler ()"))

    async with kit_engine.connect() as connection:
        transaction = await connection.begin()
        maker = sa.async_sessionmaker(connection, join_transaction_mode="create_savepoint")
        scoped = sa.async_scoped_session(maker, scopefunc=anyio.get_current_task)
        for session in (maker(), scoped):
            await repo.add_job(session, note)
            await session.commit()
            assert len((await JobTester(session, tasks).run_jobs()).completed) == 1
            await session.execute(text("drop table by_handler"))
            await session.rollback()  # of the session's own work alone
            with pytest.raises(DBAPIError):
                await session.execute(text("create table by_handler ()"))
            await session.rollback()
            await session.execute(text("drop table by_handler"))
            await session.commit()
            await session.close()
        await transaction.rollback()


async def test_jobs_of_objects_come_with_the_handlers_commit(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository, rules: ModelJobs
) -> None:
    await session.run_sync(lambda sync: Base.metadata.create_all(sync.connection()))
    await session.commit()
    seen: list[bool] = []

    @tasks.task("order")
    async def order(own: AsyncSession) -> None:
        own.add(Order(state="new"))
        await own.flush()
        jobs_now = await repo.list_jobs(own, task="ship")
        seen.append(bool(jobs_now))

    @tasks.task("ship")
    async def ship(payload: dict[str, int], own: AsyncSession) -> None:
        found = await own.get_one(Order, payload["id"])
        found.state = "shipped"

    await repo.add_job(session, order)
    report = await jobs.run_jobs()
    assert [outcome.job.task_identifier for outcome in report.outcomes] == ["order", "ship"]
    assert seen == [False]
    assert await session.scalar(text("select state from kit_orders")) == "shipped"


async def test_a_rollback_of_the_tests_session_after_jobs_ran(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    """The session was in no transaction of its own, so what the jobs did is not a part of it."""

    @tasks.task("write")
    async def write(payload: str, own: AsyncSession) -> None:
        await own.execute(WRITE, {"note": payload})

    await repo.add_job(session, write, "a")
    await session.commit()
    await jobs.run_jobs()
    await session.execute(WRITE, {"note": "b"})
    await session.rollback()
    assert await notes(session) == ["a"]


async def test_what_is_committed_inside_another_session_goes_with_it(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    """Unlike production, as docs/testing.md says: there is one connection."""

    @tasks.task("adds")
    async def adds(own: AsyncSession, ctx: JobContext) -> None:
        await own.execute(WRITE, {"note": "a"})
        await ctx.add_job("added")
        raise ValueError

    await repo.add_job(session, adds)
    await jobs.run_jobs(errors="record")
    await jobs.refute_added("added")


async def test_a_database_error_leaves_the_test_its_transaction(
    kit_engine: AsyncEngine, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("breaks")
    async def breaks(own: AsyncSession) -> None:
        await own.execute(text("select 1/0"))

    async with rolled_back_session(kit_engine) as session:
        await repo.add_job(session, breaks)
        jobs = JobTester(session, tasks)
        with pytest.raises(DBAPIError, match="division by zero"):
            await jobs.run_jobs()
        [job] = await jobs.added(breaks)
        assert job.last_error is not None
        assert "22012" in job.last_error
