"""Fixtures for the session: a table of an application, and a look at it from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.repository.look import Look, open_look
from tests.support.server import execute


@pytest.fixture
def clean_database(settled_database: str) -> str:
    """The module's database with an empty table of notes."""
    sql = "create table if not exists notes (id integer primary key, text text not null); truncate notes"
    asyncio.run(execute(settled_database, sql))
    return settled_database


@pytest.fixture
async def look(engine: AsyncEngine, clean_database: str) -> AsyncIterator[Look]:
    """A bare connection, beside the engine under test."""
    async with open_look(clean_database, "public") as opened:
        yield opened
