"""Cancellation and contention: no connection is left behind, and the session works again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import AsyncSession, async_sessionmaker, call_asyncio
from tests.database.asleep import cancel_while_asleep, until_asleep
from tests.database.notes import Note
from tests.repository.look import Look

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


async def sleep_on_server(session: AsyncSession) -> None:
    await session.execute(text("select pg_sleep(60)"))


@pytest.fixture
async def narrow(engine: AsyncEngine, clean_database: str) -> AsyncIterator[AsyncEngine]:
    """An engine with two connections at most."""
    narrow = create_async_engine(clean_database, pool_size=2, max_overflow=0, pool_timeout=20)
    yield narrow
    pool: Any = narrow.pool
    assert pool.checkedout() == 0
    await call_asyncio(narrow.dispose)


async def test_a_cancelled_query_ends_on_the_server(engine: AsyncEngine, sessions: Sessions, look: Look) -> None:
    async with sessions() as session:
        session.add(Note(id=1))
        await session.flush()
        await cancel_while_asleep(look, lambda: sleep_on_server(session))
        await session.rollback()
        assert await session.scalar(select(func.count()).select_from(Note)) == 0
        session.add(Note(id=2))
        await session.commit()
    pool: Any = engine.pool
    assert pool.checkedout() == 0
    assert await look.value("select array_agg(id) from notes") == [2]


async def test_a_cancelled_block_rolls_back(engine: AsyncEngine, sessions: Sessions, look: Look) -> None:
    async def work() -> None:
        async with sessions.begin() as session:
            session.add(Note(id=1))
            await session.flush()
            async with session.begin_nested():
                await sleep_on_server(session)

    await cancel_while_asleep(look, work)
    pool: Any = engine.pool
    assert pool.checkedout() == 0
    assert await look.value("select count(*) from notes") == 0
    async with sessions.begin() as session:
        session.add(Note(id=1))


async def test_cancelled_before_it_begins(engine: AsyncEngine, sessions: Sessions, look: Look) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with sessions.begin() as session:
            session.add(Note(id=1))
            await session.flush()
            await anyio.lowlevel.checkpoint()
    pool: Any = engine.pool
    assert pool.checkedout() == 0
    assert await look.value("select count(*) from notes") == 0


async def test_ten_tasks_on_two_connections(narrow: AsyncEngine, look: Look) -> None:
    maker = async_sessionmaker(narrow)
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        pool: Any = narrow.pool
        for step in range(5):
            async with maker.begin() as session:
                session.add(Note(id=number * 10 + step))
                await session.flush()
                most = max(most, pool.checkedout())

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(work, number)
    assert most == 2
    assert await look.value("select count(*) from notes") == 50


async def test_cancelled_while_waiting_for_a_connection(narrow: AsyncEngine, look: Look) -> None:
    maker = async_sessionmaker(narrow)
    pool: Any = narrow.pool

    begun = []

    async def wait() -> None:
        async with maker() as session:
            begun.append(True)
            await session.execute(select(1))

    async def take_turns() -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async with maker() as first, maker() as second:
        for session in (first, second):
            await session.execute(select(1))
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(wait)
            while len(begun) < 3:
                await anyio.lowlevel.checkpoint()
            await call_asyncio(take_turns)  # after these turns of the driver's loop all three wait in its pool
            group.cancel_scope.cancel()
        assert pool.checkedout() == 2
    with anyio.fail_after(10):
        await wait()


async def test_no_connection_in_time(engine: AsyncEngine, clean_database: str) -> None:
    impatient = create_async_engine(clean_database, pool_size=1, max_overflow=0, pool_timeout=0.05)
    maker = async_sessionmaker(impatient)
    async with maker() as first:
        await first.execute(select(1))
        async with maker() as second:
            with pytest.raises(PoolTimeoutError):
                await second.execute(select(1))
        assert await first.scalar(text("select 2")) == 2
    await call_asyncio(impatient.dispose)


async def test_asyncios_own_cancellation(
    engine: AsyncEngine, sessions: Sessions, look: Look, anyio_backend: str
) -> None:
    if anyio_backend == "trio":
        pytest.skip("asyncio's own")

    async def work() -> None:
        async with sessions.begin() as session:
            session.add(Note(id=1))
            await session.flush()
            await sleep_on_server(session)

    task = asyncio.create_task(work())
    await until_asleep(look, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_asleep(look, 0)
    pool: Any = engine.pool
    assert pool.checkedout() == 0
    assert await look.value("select count(*) from notes") == 0
