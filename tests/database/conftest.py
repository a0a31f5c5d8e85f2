"""Fixtures for the session: a table of an application, and a look at it from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.database.threads import threads
from tests.repository.look import Look, open_look
from tests.support.housekeeper import Housekeeper


@pytest.fixture
def clean_database(settled_database: str, housekeeper: Housekeeper) -> str:
    """The module's database with an empty table of notes."""
    housekeeper.execute("create table if not exists notes (id integer primary key, text text not null)")
    housekeeper.empty("notes")
    return settled_database


@pytest.fixture
async def look(engine: AsyncEngine, clean_database: str) -> AsyncIterator[Look]:
    """A bare connection, beside the engine under test."""
    async with open_look(clean_database, "public") as opened:
        yield opened


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    """Before and after the test, no loop of the driver's has a thread."""
    assert not threads()
    yield
    assert not threads()
