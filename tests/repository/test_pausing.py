"""Pausing and resuming in a caller's session of either kind, in both schemas."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.orm import Session

from gw_sqla import AsyncSession, InvalidJobError, TaskRegistry, async_sessionmaker
from gw_sqla.admin import Pause, Pausing, SyncPausing

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

LATER = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def sync_session(clean_database: str) -> Iterator[Session]:
    engine = create_engine(make_url(clean_database).set(drivername="postgresql+psycopg"))
    with Session(engine) as session:
        yield session
    engine.dispose()


async def test_pause_change_resume(sessions: Sessions, schema: str) -> None:
    pausing, tasks = Pausing(schema), TaskRegistry()
    charge = tasks.task("charge")(lambda: None)
    async with sessions.begin() as session:
        first = await pausing.pause(session, task=charge, reason="why", paused_by="ada")
        assert (first.kind, first.name, first.until, first.reason, first.paused_by) == (
            "task",
            "charge",
            None,
            "why",
            "ada",
        )
        assert abs(first.paused_at - datetime.now(UTC)) < timedelta(minutes=1)
        queue = await pausing.pause(session, queue_name="charge")
    async with sessions.begin() as session:
        changed = await pausing.pause(session, task="charge", until=LATER)
        assert (changed.until, changed.reason, changed.paused_by) == (LATER, None, None)
        assert changed.paused_at > first.paused_at
        assert await pausing.list_pauses(session) == [queue, changed]
        assert await pausing.resume(session, task="charge") == [changed]
        assert await pausing.resume(session, task="charge") == []
        everything = await pausing.pause(session, everything=True)
        assert await pausing.resume(session, everything=True) == [everything, queue]
        assert await pausing.list_pauses(session) == []


async def test_what_is_over_is_nothing(sessions: Sessions, schema: str) -> None:
    pausing = Pausing(schema)
    async with sessions.begin() as session:
        over = await pausing.pause(session, task="a", until=datetime.now(UTC) - timedelta(seconds=1))
        assert over.until is not None
        assert await pausing.list_pauses(session) == []
        assert await pausing.resume(session, task="a") == []
        await pausing.pause(session, task="a", until=datetime.now(UTC) - timedelta(seconds=1))
        again = await pausing.pause(session, task="a", until=LATER)
        assert await pausing.list_pauses(session) == [again]


def test_in_a_sync_session(sync_session: Session, schema: str) -> None:
    pausing = SyncPausing(schema)
    paused = pausing.pause(sync_session, queue_name="q", until=LATER, reason="why", paused_by="ada")
    assert paused == Pause("queue", "q", paused.paused_at, LATER, "why", "ada")
    assert pausing.list_pauses(sync_session) == [paused]
    sync_session.rollback()
    assert pausing.list_pauses(sync_session) == []
    pausing.pause(sync_session, everything=True)
    sync_session.commit()
    assert [found.kind for found in pausing.resume(sync_session, everything=True)] == ["everything"]
    sync_session.commit()


@pytest.mark.parametrize(
    ("what", "argument"),
    [
        ({}, "task"),
        ({"task": "a", "queue_name": "q"}, "task"),
        ({"task": "a", "everything": True}, "task"),
        ({"everything": 1}, "everything"),
        ({"task": ""}, "task"),
        ({"task": 7}, "task"),
        ({"task": "x" * 129}, "task"),
        ({"queue_name": "a\0"}, "queue_name"),
        ({"task": "a", "until": datetime(2100, 1, 1)}, "until"),
        ({"task": "a", "until": timedelta(hours=1)}, "until"),
        ({"task": "a", "reason": "x" * 1001}, "reason"),
        ({"task": "a", "paused_by": ""}, "paused_by"),
    ],
)
async def test_refused(sessions: Sessions, sync_session: Session, what: dict[str, Any], argument: str) -> None:
    async with sessions() as session:
        with pytest.raises(InvalidJobError) as error:
            await Pausing().pause(session, **what)
        assert error.value.argument == argument
        with pytest.raises(InvalidJobError):
            SyncPausing().pause(sync_session, **what)
        if not what.keys() & {"until", "reason", "paused_by"}:
            with pytest.raises(InvalidJobError):
                await Pausing().resume(session, **what)


async def test_the_other_kind_of_session(sessions: Sessions, sync_session: Session) -> None:
    async with sessions() as session:
        with pytest.raises(InvalidJobError, match="SyncPausing"):
            await Pausing().list_pauses(sync_session)  # type: ignore[arg-type]
        with pytest.raises(InvalidJobError, match="Pausing"):
            SyncPausing().list_pauses(session)  # type: ignore[arg-type]
