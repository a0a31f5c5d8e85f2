"""The session's methods do the same on asyncio and on trio."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, NoResultFound
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlalchemy.orm import Session

from gw_sqla import AsyncSession, async_sessionmaker, call_asyncio
from tests.database.notes import Note
from tests.repository.look import Look

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


async def stored(look: Look) -> dict[int, str]:
    return {row["id"]: row["text"] for row in await look.rows("select id, text from notes")}


async def test_reading_and_writing(sessions: Sessions, look: Look) -> None:
    async with sessions() as session:
        assert isinstance(session, PlainSession), "a drop-in"
        note = Note(id=1, text="a")
        session.add_all([note, Note(id=2, text="b")])
        await session.flush()
        assert await session.scalar(select(func.count()).select_from(Note)) == 2
        assert [row.id for row in await session.execute(select(Note.id).order_by(Note.id))] == [1, 2]
        assert (await session.scalars(select(Note.text).order_by(Note.id))).all() == ["a", "b"]
        assert await session.get(Note, 1) is note
        assert await session.get(Note, 3) is None
        assert await session.get_one(Note, 1) is note
        with pytest.raises(NoResultFound):
            await session.get_one(Note, 3)
        merged = await session.merge(Note(id=2, text="merged"))
        await session.delete(note)
        await session.commit()
        assert await stored(look) == {2: "merged"}
        await look.execute("update notes set text = 'changed'")
        await session.refresh(merged)
        assert merged.text == "changed"


async def test_run_sync_and_connection(sessions: Sessions, look: Look) -> None:
    async with sessions.begin() as session:

        def write(sync: Session, number: int) -> int:
            sync.add(Note(id=number))
            sync.flush()
            return sync.scalars(select(Note.id)).one()

        assert await session.run_sync(write, 7) == 7
        connection = await session.connection()
        result = await call_asyncio(connection.execute, text("select id from notes"))
        assert result.scalar_one() == 7
    assert await stored(look) == {7: ""}


async def test_begin_commits(sessions: Sessions, look: Look) -> None:
    async with sessions.begin() as session:
        session.add(Note(id=1))
        assert await stored(look) == {}
    assert await stored(look) == {1: ""}
    async with sessions() as session:
        async with session.begin():
            session.add(Note(id=2))
        async with session.begin() as transaction:
            session.add(Note(id=3))
            await transaction.commit()
        begun = await session.begin()
        session.add(Note(id=4))
        await begun.commit()
    assert set(await stored(look)) == {1, 2, 3, 4}


async def test_rollback(sessions: Sessions, look: Look) -> None:
    async with sessions() as session:
        session.add(Note(id=1))
        await session.flush()
        await session.rollback()
        transaction = await session.begin()
        session.add(Note(id=2))
        await session.flush()
        await transaction.rollback()
        session.add(Note(id=3))
        await session.flush()
    assert await stored(look) == {}, "what is not committed at the end is not there"


async def fail_in(transaction: object, session: AsyncSession | None, number: int) -> None:
    async with transaction as entered:  # type: ignore[attr-defined] # one of three context managers
        (session or entered).add(Note(id=number))
        await (session or entered).flush()
        raise ZeroDivisionError


async def test_an_error_in_the_block_rolls_back(sessions: Sessions, look: Look) -> None:
    with pytest.raises(ZeroDivisionError):
        await fail_in(sessions.begin(), None, 1)
    async with sessions() as session:
        with pytest.raises(ZeroDivisionError):
            await fail_in(session.begin(), session, 2)
        assert not session.in_transaction()
    with pytest.raises(ZeroDivisionError):
        await fail_in(sessions(), None, 3)
    assert await stored(look) == {}


async def test_savepoints(sessions: Sessions, look: Look) -> None:
    async with sessions.begin() as session:
        async with session.begin_nested():
            session.add(Note(id=1))
        with pytest.raises(ZeroDivisionError):
            await fail_in(session.begin_nested(), session, 2)
        inner = await session.begin_nested()
        session.add(Note(id=3))
        await session.flush()
        await inner.rollback()
        session.add(Note(id=4))
    assert set(await stored(look)) == {1, 4}


async def test_a_refused_statement_ends_only_its_savepoint(sessions: Sessions, look: Look) -> None:
    async with sessions.begin() as session:
        session.add(Note(id=1))
        await session.flush()
        with pytest.raises(IntegrityError):
            async with session.begin_nested():
                await session.execute(text("insert into notes values (1, '')"))
        session.add(Note(id=2))
    assert set(await stored(look)) == {1, 2}


async def test_a_transaction_that_began_by_itself(sessions: Sessions, look: Look) -> None:
    async with sessions() as session:
        assert session.get_transaction() is None
        assert session.get_nested_transaction() is None
        session.add(Note(id=1))
        await session.flush()
        transaction = session.get_transaction()
        assert transaction is not None
        assert session.get_transaction() is transaction
        savepoint = await session.begin_nested()
        assert session.get_nested_transaction() is savepoint
        await savepoint.rollback()
        await transaction.commit()
        session.add(Note(id=2))
        await session.flush()
        second = session.get_transaction()
        assert second is not None
        await second.rollback()
    assert set(await stored(look)) == {1}


async def test_ways_to_end_a_session(engine: AsyncEngine, sessions: Sessions) -> None:
    pool: Any = engine.pool
    for end in ("close", "aclose", "reset", "invalidate"):
        session = sessions()
        await session.execute(select(1))
        assert pool.checkedout() == 1
        await getattr(session, end)()
        assert pool.checkedout() == 0
        assert not session.in_transaction()
