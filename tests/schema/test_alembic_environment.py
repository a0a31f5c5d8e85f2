"""Alembic's command line on the repository, and a connection that is handed to it."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from pathlib import Path

import anyio.to_thread
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.schema import revision_scripts
from gw_sqla.schema.migrations import downgrade, migrate, migration_sql
from gw_sqla.schema.supported_revisions import HEAD
from tests.schema.catalog import Catalog, read_at
from tests.schema.contract import CONTRACT, OURS, WEIRD
from tests.support.forks import run_program
from tests.support.server import execute

pytestmark = pytest.mark.anyio

REPOSITORY = Path(revision_scripts.__file__).parents[2]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


WHOLE = (CONTRACT | OURS).named("graphile_worker")


async def alembic(*arguments: str, url: str | None, schema: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment |= {"DATABASE_URL": url} if url else {}
    environment |= {"GRAPHILE_WORKER_SCHEMA": schema} if schema else {}
    run = partial(run_program, "alembic", *arguments, env=environment, cwd=REPOSITORY)
    return await anyio.to_thread.run_sync(run)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
async def test_up_and_down(empty_engine: AsyncEngine, empty_database: str, scheme: str) -> None:
    url = scheme + "://" + empty_database.partition("://")[2]
    done = await alembic("upgrade", "head", url=url)
    assert done.returncode == 0, done.stderr
    assert await call_asyncio(read_at, empty_database) == WHOLE
    assert (await migrate(empty_engine)).action == "unchanged", "the same thing as migrate"
    current = await alembic("current", url=url)
    assert current.stdout.split()[:2] == [HEAD, "(head)"]
    done = await alembic("downgrade", "base", url=url)
    assert done.returncode == 0, done.stderr
    assert await call_asyncio(read_at, empty_database) == Catalog()


async def test_current_changes_nothing(empty_engine: AsyncEngine, empty_database: str) -> None:
    current = await alembic("current", url=empty_database)
    assert (current.returncode, current.stdout) == (0, "")
    assert await call_asyncio(read_at, empty_database) == Catalog()


async def test_other_schema(empty_engine: AsyncEngine, empty_database: str) -> None:
    done = await alembic("upgrade", "head", url=empty_database, schema=WEIRD)
    assert done.returncode == 0, done.stderr
    assert (await migrate(empty_engine, schema=WEIRD)).action == "unchanged"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (None, "DATABASE_URL is not set"),
        ("nonsense", "DATABASE_URL is not a URL"),
        ("mysql://host/name", "DATABASE_URL begins with mysql://"),
        ("postgresql://127.0.0.1:1/name", "Connect call failed"),
    ],
)
async def test_errors_are_one_line(url: str | None, message: str) -> None:
    done = await alembic("upgrade", "head", url=url)
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert message in output
    assert "Traceback" not in output


async def test_missing_database_is_one_line(empty_database: str) -> None:
    url = sa.make_url(empty_database).set(database="nobodys").render_as_string(hide_password=False)
    done = await alembic("upgrade", "head", url=url)
    assert done.returncode != 0
    assert 'database "nobodys" does not exist' in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


async def test_errors_of_the_schema_are_one_line(migrated_engine: AsyncEngine, migrated_database: str) -> None:
    await call_asyncio(execute, migrated_database, "select graphile_worker.add_job('a')")
    done = await alembic("downgrade", "base", url=migrated_database)
    assert done.returncode != 0
    assert "still holds jobs" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


async def test_offline_is_the_sql_for_review(empty_engine: AsyncEngine, empty_database: str) -> None:
    up = await alembic("upgrade", "head", "--sql", url=None)
    assert up.stdout == migration_sql()
    await call_asyncio(execute, empty_database, up.stdout)
    assert await call_asyncio(read_at, empty_database) == WHOLE
    down = await alembic("downgrade", "head:base", "--sql", url=None)
    await call_asyncio(execute, empty_database, down.stdout)
    assert await call_asyncio(read_at, empty_database) == Catalog()


async def test_offline_steps(empty_engine: AsyncEngine, empty_database: str) -> None:
    for step in ("0001", f"0001:{HEAD}"):
        up = await alembic("upgrade", step, "--sql", url=None)
        await call_asyncio(execute, empty_database, up.stdout)
    assert await call_asyncio(read_at, empty_database) == WHOLE
    assert (await migrate(empty_engine)).action == "unchanged"


async def test_a_connection_can_be_given(empty_engine: AsyncEngine, empty_database: str) -> None:
    """What Alembic's cookbook does: the caller's connection, in the caller's transaction."""

    def upgrade(connection: sa.Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(revision_scripts.scripts_folder()))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    async def run(*, commit: bool) -> None:
        async with empty_engine.connect() as connection:
            await connection.run_sync(upgrade)
            if commit:
                await connection.commit()

    await call_asyncio(run, commit=False)
    assert await call_asyncio(read_at, empty_database) == WHOLE, "not in a transaction: committed"
    await downgrade(empty_engine)

    async def roll_back() -> None:
        async with empty_engine.connect() as connection:
            await connection.begin()
            await connection.run_sync(upgrade)
            await connection.rollback()

    await call_asyncio(roll_back)
    assert await call_asyncio(read_at, empty_database) == Catalog(), "in the caller's transaction"
