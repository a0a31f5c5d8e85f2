"""What a reading leaves in the caller's transaction: nothing, whether it ended well, in an error or out of time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session

from gw_sqla import (
    AccessError,
    AsyncSession,
    InvalidJobError,
    ReadTimeoutError,
    SchemaMissingError,
    SessionError,
    async_sessionmaker,
)
from gw_sqla.admin import Admin, Count, ScanLimits, SyncAdmin
from gw_sqla.types import DEFAULT_SCHEMA
from tests.admin.door import Door
from tests.repository.look import Look
from tests.schema.roles import Role, temporary_role
from tests.support.proxy import start_proxy
from tests.support.server import Server

pytestmark = pytest.mark.anyio

SHORT = ScanLimits(timeout=timedelta(milliseconds=50))
SETTINGS = ("statement_timeout", "jit", "datestyle", "enable_seqscan", "enable_bitmapscan")


@asynccontextmanager
async def locked_jobs(look: Look) -> AsyncIterator[None]:
    """Let every statement on the jobs wait."""
    await look.execute("begin; lock table {s}._private_jobs in access exclusive mode")
    try:
        yield
    finally:
        await look.execute("rollback")


async def settings(transaction: Any) -> list[Any]:
    return [await transaction.value(f"select current_setting('{name}')") for name in SETTINGS]


async def test_the_transactions_settings_stay(door: Door, look: Look) -> None:
    async with door.begin() as transaction:
        await transaction.value("select set_config('statement_timeout', '12345', true)")
        before = await settings(transaction)
        await transaction.ask("list_jobs")
        await transaction.ask("count_jobs", "state:failed")
        assert await settings(transaction) == before


async def test_out_of_time(door: Door, look: Look) -> None:
    """A page that would be empty and have no way on is an error; what the caller wrote before is still there."""
    async with door.begin() as transaction:
        await transaction.value(
            "insert into graphile_worker._private_tasks (identifier) values ('before') returning id"
        )
        before = await settings(transaction)
        async with locked_jobs(look):
            with pytest.raises(ReadTimeoutError, match="no answer within 50 ms"):
                await transaction.ask("list_jobs", limits=SHORT)
            assert await transaction.ask("count_jobs", limits=SHORT) == Count(0, is_exact=False)
            with pytest.raises(ReadTimeoutError, match="no answer within 50 ms"):
                await transaction.ask("explain_job", 1, limits=SHORT)
        assert await settings(transaction) == before
        assert (await transaction.ask("list_jobs")).stopped is None
    assert await look.value("select count(*) from {s}._private_tasks where identifier = 'before'") == 1


async def test_a_shorter_timeout_of_the_caller_holds(door: Door, look: Look) -> None:
    async with door.begin() as transaction:
        await transaction.value("select set_config('statement_timeout', '40', true)")
        async with locked_jobs(look):
            assert await transaction.ask("count_jobs") == Count(0, is_exact=False)


async def test_a_statement_that_somebody_cancels(door: Door, look: Look) -> None:
    """It is no timeout: the error is the database's, and the transaction goes on all the same."""
    async with door.begin() as transaction:
        pid = await transaction.value("select pg_backend_pid()")

        async def cancel() -> None:
            waits = "select count(*) from pg_sleep(0.01), pg_locks where pid = $1 and not granted"
            while not await look.value(waits, pid):
                pass
            await look.value("select pg_cancel_backend($1)", pid)

        async with locked_jobs(look), anyio.create_task_group() as group:
            group.start_soon(cancel)
            with pytest.raises(DBAPIError) as caught:
                await transaction.ask("list_jobs")
            assert getattr(caught.value.orig, "sqlstate", None) == "57014"
        assert await transaction.value("select 1") == 1


async def test_a_cancellation(kind: str, sessions: async_sessionmaker[AsyncSession], look: Look) -> None:
    if kind == "sync":
        return
    async with sessions() as session:
        async with locked_jobs(look):
            with anyio.move_on_after(0.1) as scope:
                await Admin(limits=ScanLimits(timeout=timedelta(seconds=20))).list_jobs(session)
        assert scope.cancelled_caught
        await session.rollback()
        assert (await Admin(limits=ScanLimits(timeout=timedelta(seconds=20))).list_jobs(session)).jobs == ()


async def test_nothing_of_the_callers_is_flushed(kind: str, clean_database: str, sync_engine: sa.Engine) -> None:
    if kind != "sync":
        return
    flushed: list[object] = []
    with Session(sync_engine) as session:
        event.listen(session, "before_flush", lambda *_: flushed.append(1))
        SyncAdmin().list_jobs(session)
    assert flushed == []


async def test_an_aborted_transaction(kind: str, sessions: async_sessionmaker[AsyncSession]) -> None:
    if kind == "sync":
        return
    async with sessions() as session:
        with pytest.raises(DBAPIError):
            await session.execute(sa.text("select 1/0"))
        with pytest.raises(SessionError, match="an earlier statement failed"):
            await Admin().list_jobs(session)
        await session.rollback()


async def test_autocommit(engine: AsyncEngine) -> None:
    async with AsyncSession(engine.execution_options(isolation_level="AUTOCOMMIT")) as session:
        with pytest.raises(SessionError, match="AUTOCOMMIT"):
            await Admin().list_jobs(session)


async def test_no_schema(door: Door, look: Look) -> None:
    door = Door(door.sessions, door.sync_engine, "elsewhere")
    for method in (
        "list_jobs",
        "count_jobs",
        "list_failures",
        "list_queues",
        "list_tasks",
        "list_lock_owners",
        "read_fleet",
    ):
        with pytest.raises(SchemaMissingError, match="elsewhere"):
            await door.ask(method)


@pytest.fixture
def powerless(server: Server, clean_database: str) -> Iterator[Role]:
    with temporary_role(server, clean_database) as role:
        yield role


async def test_a_role_without_rights(powerless: Role, clean_database: str, engine: AsyncEngine) -> None:
    async with async_sessionmaker(powerless.engine(clean_database))() as session:
        with pytest.raises(AccessError, match="grants ROLE"):
            await Admin().list_jobs(session)
        await session.rollback()


async def test_the_other_kind_of_session(kind: str, sessions: async_sessionmaker[AsyncSession]) -> None:
    with Session() as plain, pytest.raises(InvalidJobError, match="for Session: SyncAdmin"):
        await Admin().list_jobs(plain)  # type: ignore[arg-type]
    async with sessions() as session:
        with pytest.raises(InvalidJobError, match="for AsyncSession: Admin"):
            SyncAdmin().list_jobs(session)  # type: ignore[arg-type]


async def test_a_database_that_is_far_away(kind: str, look: Look, clean_database: str, engine: AsyncEngine) -> None:
    """The round trips are not counted: they take longer together than the limits let the statements take."""
    limits = ScanLimits(timeout=timedelta(milliseconds=400))
    with start_proxy(clean_database) as proxy:
        far = Door(async_sessionmaker(create_async_engine(proxy.url, poolclass=sa.NullPool)), None, DEFAULT_SCHEMA)
        if kind == "sync":
            plain = sa.create_engine(sa.make_url(proxy.url).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
            far = Door(far.sessions, plain, DEFAULT_SCHEMA)
        await look.execute("select {s}.add_job('a')")
        async with far.begin() as transaction:
            for delay in (0.0, 0.1):  # first, the drivers prepare their statements
                proxy.delay = delay
                assert (await transaction.ask("count_jobs", "task:a", limits=limits)) == Count(1)
                page = await transaction.ask("list_jobs", "task:a", limits=limits)
                assert (len(page.jobs), page.stopped) == (1, None)
                [task] = await transaction.ask("list_tasks", limits=limits)
                assert task.waiting == Count(1)
            proxy.delay = 0
