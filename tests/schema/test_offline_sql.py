"""SQL for review: what stops it, and that psql reads it."""

from __future__ import annotations

import shutil
from pathlib import Path

import anyio
import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.errors import ConfigurationError
from gw_sqla.schema.migrations import migrate, migration_sql
from tests.schema.catalog import read_at
from tests.schema.contract import WEIRD
from tests.support.server import execute

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_sql_for_review_stops_at_a_ledger(migrated_engine: AsyncEngine, migrated_database: str) -> None:
    before = await call_asyncio(read_at, migrated_database)
    with pytest.raises(asyncpg.DuplicateTableError, match="already holds a Graphile Worker ledger"):
        await call_asyncio(execute, migrated_database, migration_sql())
    assert await call_asyncio(read_at, migrated_database) == before


async def test_sql_for_adoption_stops_without_a_ledger(empty_engine: AsyncEngine, empty_database: str) -> None:
    with pytest.raises(asyncpg.UndefinedTableError, match="holds no Graphile Worker ledger"):
        await call_asyncio(execute, empty_database, migration_sql(adopt=True))


@pytest.mark.parametrize("schema", ["graphile_worker", WEIRD], ids=["default", "weird"])
async def test_psql_reads_the_sql_for_review(
    empty_engine: AsyncEngine, empty_database: str, schema: str, tmp_path: Path
) -> None:
    """psql has variables and commands of its own that the text must not look like."""
    psql = shutil.which("psql")
    if psql is None:
        pytest.skip("needs psql")
    script = tmp_path / "migration.sql"
    script.write_text(migration_sql(schema=schema))
    url = sa.make_url(empty_database)
    address = [
        "-h",
        str(url.query.get("host", url.host)),
        "-U",
        str(url.username),
        *(["-p", str(url.port)] if url.port else []),
    ]
    await anyio.run_process(
        [psql, "-X", "-v", "ON_ERROR_STOP=1", "-v", "x=y", *address, "-f", script, str(url.database)]
    )
    assert (await migrate(empty_engine, schema=schema)).action == "unchanged"


def test_impossible_name() -> None:
    with pytest.raises(ConfigurationError):
        migration_sql(schema="a\nb")
