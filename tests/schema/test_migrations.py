"""migrate: creating, doing nothing, and refusing."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.errors import AccessError, ConfigurationError, SchemaError, SchemaMissingError
from gw_sqla.schema.check import check_schema
from gw_sqla.schema.migration_report import MigrationReport
from gw_sqla.schema.migrations import downgrade, migrate
from gw_sqla.schema.supported_revisions import HEAD, VERSION_TABLE
from tests.schema.catalog import read_at
from tests.schema.contract import WEIRD
from tests.schema.roles import Role
from tests.schema.waiting import until, until_blocking
from tests.support.server import execute

pytestmark = pytest.mark.anyio


async def test_creates_then_does_nothing(empty_engine: AsyncEngine, empty_database: str) -> None:
    assert await migrate(empty_engine) == MigrationReport("graphile_worker", "created", None, HEAD)
    before = await call_asyncio(read_at, empty_database)
    assert await migrate(empty_engine) == MigrationReport("graphile_worker", "unchanged", HEAD, HEAD)
    assert await call_asyncio(read_at, empty_database) == before


async def test_whole_life(empty_engine: AsyncEngine, empty_database: str) -> None:
    """The other doors on both event loops; their cases are tested on asyncio."""
    with pytest.raises(SchemaMissingError):
        await check_schema(empty_engine)
    await migrate(empty_engine)
    assert (await check_schema(empty_engine)).version == HEAD
    assert (await downgrade(empty_engine)).action == "downgraded"
    assert (await call_asyncio(read_at, empty_database)).relations == {}


async def test_goes_step_by_step(empty_engine: AsyncEngine) -> None:
    assert (await migrate(empty_engine, revision="0001")).after == "0001"
    assert await migrate(empty_engine) == MigrationReport("graphile_worker", "upgraded", "0001", HEAD)


def test_report_reads_well() -> None:
    report = MigrationReport("graphile_worker", "created", None, "0004")
    assert str(report) == "schema 'graphile_worker' created: nothing -> 0004"


async def test_schemas_beside_each_other(empty_engine: AsyncEngine, empty_database: str) -> None:
    for schema in ("graphile_worker", "Other", WEIRD):
        assert (await migrate(empty_engine, schema=schema)).action == "created"
    assert (await migrate(empty_engine, schema="Other")).action == "unchanged"


@pytest.mark.parametrize("schema", ["", "x" * 64, "é" * 32, "a\x00b", "a\nb", "pg_worker", "%(a)s", "50 %("])
async def test_impossible_names(empty_engine: AsyncEngine, schema: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be its name"):
        await migrate(empty_engine, schema=schema)


async def test_unknown_revision(empty_engine: AsyncEngine, empty_database: str) -> None:
    with pytest.raises(ConfigurationError, match="0099"):
        await migrate(empty_engine, revision="0099")
    assert (await call_asyncio(read_at, empty_database)).relations == {}, "rolled back"


@pytest.mark.parametrize("revision", ["", " ", "0099", "nonsense", "7+1", None])
@pytest.mark.parametrize("is_newer", [False, True])
async def test_what_is_no_revision(
    migrated_engine: AsyncEngine, migrated_database: str, revision: Any, is_newer: bool
) -> None:
    """Also where nothing would be done: a schema that a newer gw_sqla migrated is left alone."""
    if is_newer:
        newer = f"update graphile_worker.{VERSION_TABLE} set version_num = '0999'"
        await call_asyncio(execute, migrated_database, newer)
    with pytest.raises(ConfigurationError, match=r"^revision: must be head, base, a step such as \+1, or one of 0001"):
        await migrate(migrated_engine, revision=revision)
    with pytest.raises(ConfigurationError, match=r"^revision: must be "):
        await downgrade(migrated_engine, revision=revision)


async def test_foreign_ledger(empty_engine: AsyncEngine, empty_database: str) -> None:
    await call_asyncio(
        execute, empty_database, "create schema graphile_worker create table migrations (id int, name text)"
    )
    with pytest.raises(SchemaError, match="another program"):
        await migrate(empty_engine)


async def test_empty_ledger_of_an_interrupted_installer(empty_engine: AsyncEngine, empty_database: str) -> None:
    ledger = "(id int primary key, ts timestamptz not null default now(), breaking boolean not null default false)"
    await call_asyncio(execute, empty_database, f"create schema graphile_worker create table migrations {ledger}")
    assert (await migrate(empty_engine)).action == "created"


async def test_ledger_that_vanished(migrated_engine: AsyncEngine, migrated_database: str) -> None:
    await call_asyncio(execute, migrated_database, "drop table graphile_worker.migrations")
    with pytest.raises(SchemaError, match="gone or empty"):
        await migrate(migrated_engine)


async def test_migrated_by_a_newer_version(
    migrated_engine: AsyncEngine, migrated_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A rollback of a deployment finds its schema usable."""
    await call_asyncio(execute, migrated_database, f"update graphile_worker.{VERSION_TABLE} set version_num = '0999'")
    assert await migrate(migrated_engine) == MigrationReport("graphile_worker", "unchanged", "0999", "0999")
    assert "newer gw_sqla" in caplog.text


async def test_role_that_may_not_create_a_schema(empty_database: str, empty_engine: AsyncEngine, role: Role) -> None:
    engine = role.engine(empty_database)
    with pytest.raises(AccessError, match="permission denied for database"):
        await migrate(engine)


async def test_schema_made_for_a_role_without_other_rights(
    empty_database: str, empty_engine: AsyncEngine, role: Role
) -> None:
    """No CREATE on the database is needed where the schema is there, in its own name or a group's."""
    await call_asyncio(execute, empty_database, f"create schema graphile_worker authorization {role.name}")
    engine = role.engine(empty_database)
    assert (await migrate(engine)).action == "created"
    assert (await migrate(engine)).action == "unchanged"


async def test_role_that_does_not_own_the_schema(
    migrated_database: str, migrated_engine: AsyncEngine, role: Role
) -> None:
    engine = role.engine(migrated_database)
    with pytest.raises(AccessError, match="may not use schema"):
        await migrate(engine)
    grants = f"grant usage, create on schema graphile_worker to {role.name}"
    await call_asyncio(execute, migrated_database, grants)
    await call_asyncio(execute, migrated_database, f"grant all on all tables in schema graphile_worker to {role.name}")
    with pytest.raises(AccessError, match="row level security hides"):
        await migrate(engine)


async def test_cancelled_migration_rolls_back(
    empty_engine: AsyncEngine, peer: asyncpg.Connection, watcher: asyncpg.Connection
) -> None:
    with anyio.fail_after(30):
        await call_asyncio(peer.execute, "begin; create schema graphile_worker")
        async with anyio.create_task_group() as group:
            group.start_soon(partial(migrate, empty_engine))
            await until_blocking(watcher, peer)
            group.cancel_scope.cancel()
        await call_asyncio(peer.execute, "rollback")
    unlocked = "select count(*) = 0 from pg_locks where locktype = 'advisory'"
    await until(lambda: call_asyncio(watcher.fetchval, unlocked))
    assert (await migrate(empty_engine)).action == "created"
