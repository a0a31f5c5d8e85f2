"""Results that go on awaiting: streams of rows, and attributes that load when they are awaited."""

from __future__ import annotations

import gc

import anyio
import asyncpg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import MissingGreenlet, MultipleResultsFound
from sqlalchemy.orm import defer

from gw_sqla import AsyncSession, async_sessionmaker
from tests.database.asleep import cancel_while_asleep
from tests.database.notes import Note
from tests.repository.look import Look

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

SERIES = text("select n, n * n as square from generate_series(1, 5) as n")
ROWS = [(1, 1), (2, 4), (3, 9), (4, 16), (5, 25)]


async def test_rows_one_by_one_and_in_pages(sessions: Sessions) -> None:
    async with sessions() as session:
        result = await session.stream(SERIES)
        assert await result.fetchone() == (1, 1)
        assert await anext(result) == (2, 4)
        assert await result.fetchmany(2) == ROWS[2:4]
        assert [row async for row in result] == ROWS[4:]
        assert await result.fetchone() is None
        assert [page async for page in (await session.stream(SERIES)).partitions(2)] == [ROWS[:2], ROWS[2:4], ROWS[4:]]
        assert await (await session.stream(SERIES)).all() == ROWS


async def test_rows_of_another_form(sessions: Sessions) -> None:
    async with sessions() as session:
        assert [number async for number in await session.stream_scalars(SERIES)] == [1, 2, 3, 4, 5]
        assert await (await session.stream_scalars(SERIES)).fetchmany(2) == [1, 2]
        assert await (await session.stream(SERIES)).scalars("square").all() == [1, 4, 9, 16, 25]
        assert [dict(row) async for row in (await session.stream(SERIES)).mappings()][1] == {"n": 2, "square": 4}
        columns = (await session.stream(SERIES)).columns("square")
        assert [page async for page in columns.partitions(3)] == [[(1,), (4,), (9,)], [(16,), (25,)]]
        pairs = text("select n % 2 as odd from generate_series(1, 5) as n")
        assert await (await session.stream(pairs)).scalars().unique().all() == [1, 0]


async def test_one_row(sessions: Sessions) -> None:
    async with sessions() as session:
        assert await (await session.stream(SERIES)).first() == (1, 1)
        with pytest.raises(MultipleResultsFound):
            await (await session.stream(SERIES)).one()
        assert await (await session.stream(text("select 7"))).scalar_one() == 7
        assert await (await session.stream_scalars(text("select 7 where false"))).one_or_none() is None


async def test_an_error_in_the_middle(sessions: Sessions) -> None:
    async with sessions() as session:
        result = await session.stream(text("select 1 / (3000 - n) from generate_series(1, 4000) as n"))
        assert await result.fetchone() == (0,)
        with pytest.raises(asyncpg.DivisionByZeroError):  # as it is: SQLAlchemy wraps no error of a cursor
            async for _ in result.partitions(100):
                pass


async def test_a_stream_that_is_left_gives_its_connection_back(sessions: Sessions) -> None:
    async with sessions() as session:
        result = await session.stream(SERIES)
        await result.close()
        assert result.closed
        assert await session.scalar(text("select 2")) == 2
        async for _ in (await session.stream(SERIES)).partitions(2):
            break
        gc.collect()  # a generator that was left open would warn
    with anyio.CancelScope() as scope:
        async with sessions() as session:
            async for _ in await session.stream(SERIES):
                scope.cancel()
                await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    async with sessions() as session:
        assert [row async for row in await session.stream(SERIES)] == ROWS


@pytest.mark.parametrize("by", ["row", "page"])
async def test_a_stream_that_is_cancelled_as_it_fetches_ends_on_the_server(
    sessions: Sessions, look: Look, by: str
) -> None:
    late = text("select case when n = 2000 then pg_sleep(60) end from generate_series(1, 3000) as n")

    async def work() -> None:
        async with sessions() as session:
            result = await session.stream(late)
            async for _ in result if by == "row" else result.partitions(100):
                pass

    await cancel_while_asleep(look, work)
    async with sessions() as session:
        assert [row async for row in await session.stream(SERIES)] == ROWS


@pytest.mark.filterwarnings("ignore:The AsyncSession.close_all")  # deprecated by SQLAlchemy, and there
async def test_close_all(sessions: Sessions) -> None:
    session = sessions()
    await session.execute(text("select 1"))
    await AsyncSession.close_all()
    assert not session.in_transaction()


async def test_objects(sessions: Sessions, look: Look) -> None:
    await look.execute("insert into notes select n, 'note ' || n from generate_series(1, 3) as n")
    async with sessions() as session:
        notes = [note async for note in await session.stream_scalars(select(Note).order_by(Note.id))]
    assert [note.text for note in notes] == ["note 1", "note 2", "note 3"]


async def test_awaitable_attributes(sessions: Sessions, look: Look) -> None:
    await look.execute("insert into notes values (1, 'late')")
    async with sessions() as session:
        note = await session.get_one(Note, 1, options=[defer(Note.text)])
        with pytest.raises(MissingGreenlet):
            _ = note.text
        assert await note.awaitable_attrs.text == "late"
        assert note.text == "late", "loaded"
        with pytest.raises(AttributeError, match="nothing"):
            await note.awaitable_attrs.nothing
