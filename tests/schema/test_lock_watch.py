"""A migration that waits says so, and for whom; it ends after the time that it may wait, and leaves all as it was."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import anyio
import asyncpg
import pytest
from sqlalchemy import NullPool, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla.database.event_loops import call_asyncio, database_loop
from gw_sqla.errors import ConfigurationError, SchemaLockedError
from gw_sqla.schema.migration_lock import lock_sql
from gw_sqla.schema.migration_report import MigrationReport
from gw_sqla.schema.migrations import downgrade, migrate
from tests.schema.catalog import read_at
from tests.schema.roles import Role
from tests.schema.waiting import until
from tests.support.log import kept_log
from tests.support.server import Server, connect, restartable_server

pytestmark = pytest.mark.anyio

SHORT = timedelta(milliseconds=300)


async def hold(peer: asyncpg.Connection, sql: str = lock_sql("graphile_worker")) -> str:
    """Have the other connection hold a lock in a transaction; return how it is spoken of."""
    await call_asyncio(peer.execute, f"set application_name = 'deploy 17'; begin; {sql}")
    role = await call_asyncio(peer.fetchval, "select current_user::text")
    return f"pid {peer.get_server_pid()} (role {role!r}, application 'deploy 17')"


async def test_it_says_for_whom_it_waits(empty_engine: AsyncEngine, peer: asyncpg.Connection) -> None:
    reports: list[MigrationReport] = []

    async def ours() -> None:
        reports.append(await migrate(empty_engine))

    holder = await hold(peer)
    with kept_log() as log:
        async with anyio.create_task_group() as group:
            group.start_soon(ours)
            await log.until(lambda: log.with_text("waits for"), 30)
            await call_asyncio(peer.execute, "commit")
    assert log.lines == [f"schema 'graphile_worker': the migration waits for what {holder} holds"]
    assert [report.action for report in reports] == ["created"]


@pytest.mark.timeout(60)
async def test_it_ends_after_its_time(empty_engine: AsyncEngine, empty_database: str, peer: asyncpg.Connection) -> None:
    holder = await hold(peer)
    with pytest.raises(SchemaLockedError) as raised:
        await migrate(empty_engine, lock_timeout=SHORT)
    assert str(raised.value).startswith(
        f"schema 'graphile_worker': gave up after 0.3 s of waiting for what {holder} holds; nothing was changed: "
    )
    assert (await call_asyncio(read_at, empty_database)).relations == {}
    await call_asyncio(peer.execute, "commit")
    assert (await migrate(empty_engine, lock_timeout=SHORT)).action == "created"


@pytest.mark.timeout(60)
async def test_locks_inside_a_migration_too(empty_engine: AsyncEngine, peer: asyncpg.Connection) -> None:
    """A transaction that has read the jobs holds up what removes their table."""
    await migrate(empty_engine)
    holder = await hold(peer, "select from graphile_worker._private_jobs")
    with pytest.raises(SchemaLockedError) as raised:
        await downgrade(empty_engine, lock_timeout=SHORT)
    assert holder in str(raised.value)
    await call_asyncio(peer.execute, "commit")
    assert (await downgrade(empty_engine, lock_timeout=SHORT)).action == "downgraded"


@pytest.mark.timeout(60)
async def test_a_ledger_that_nobody_completes(empty_engine: AsyncEngine, peer: asyncpg.Connection) -> None:
    """What an installer that died between its migrations leaves."""
    await call_asyncio(
        peer.execute,
        "create schema graphile_worker create table migrations (id int primary key, ts timestamptz default now(), "
        "breaking boolean not null default false); insert into graphile_worker.migrations (id) values (1)",
    )
    with kept_log() as log, pytest.raises(SchemaLockedError, match="another installer is at work"):
        await migrate(empty_engine, lock_timeout=SHORT)
    assert log.lines == ["schema 'graphile_worker': another installer is at work, waiting for it"]


async def test_a_cancellation_while_it_waits(empty_engine: AsyncEngine, peer: asyncpg.Connection) -> None:
    """It leaves no backend behind that waits on."""
    await hold(peer)
    with kept_log() as log, anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(migrate, empty_engine)
            await log.until(lambda: log.with_text("waits for"), 30)
            scope.cancel()
    free = "select count(*) = 0 from pg_stat_activity where $1 = any(pg_blocking_pids(pid))"
    await until(lambda: call_asyncio(peer.fetchval, free, peer.get_server_pid()))


@pytest.mark.parametrize("given", [timedelta(0), timedelta(seconds=-1), timedelta(days=25), 5])
async def test_a_time_that_cannot_be_waited(empty_engine: AsyncEngine, given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^lock_timeout: must be a timedelta"):
        await migrate(empty_engine, lock_timeout=given)


def last_warning(holder: str) -> str:
    return f"schema 'graphile_worker': the migration waits for what {holder} holds"


@pytest.mark.timeout(60)
async def test_a_pool_of_one_connection(empty_engine: AsyncEngine, peer: asyncpg.Connection) -> None:
    """The migration has it; the look takes none of the pool's."""
    holder = await hold(peer)
    narrow = create_async_engine(empty_engine.url, pool_size=1, max_overflow=0)
    with kept_log() as log, pytest.raises(SchemaLockedError, match="deploy 17"):
        await migrate(narrow, lock_timeout=SHORT)
    assert log.lines == [last_warning(holder)]
    await call_asyncio(peer.execute, "commit")
    await migrate(narrow, lock_timeout=SHORT)
    await call_asyncio(narrow.dispose)


@pytest.mark.timeout(60)
async def test_a_role_that_may_not_see_sessions(
    empty_engine: AsyncEngine, empty_database: str, peer: asyncpg.Connection, role: Role
) -> None:
    """The pid is everybody's to know."""
    database = str(make_url(empty_database).database)
    await call_asyncio(peer.execute, f'grant create on database "{database}" to {role.name}')
    await call_asyncio(peer.execute, "revoke select on pg_stat_activity from public")
    await hold(peer)
    with kept_log() as log, pytest.raises(SchemaLockedError, match=f"what pid {peer.get_server_pid()} holds"):
        await migrate(role.engine(empty_database), lock_timeout=SHORT)
    assert log.lines == [last_warning(f"pid {peer.get_server_pid()}")]


@pytest.mark.timeout(60)
async def test_a_role_that_gets_no_second_connection(
    server: Server, empty_engine: AsyncEngine, empty_database: str, peer: asyncpg.Connection
) -> None:
    """Then it is said that nobody can be seen, once."""
    name = f"gw_sqla_test_single_{os.getpid()}"
    database = str(make_url(empty_database).database)
    await call_asyncio(peer.execute, f"create role {name} login connection limit 1")
    await call_asyncio(peer.execute, f'grant create on database "{database}" to {name}')
    await hold(peer)
    single = create_async_engine(make_url(empty_database).set(username=name), poolclass=NullPool)
    try:
        with kept_log() as log, pytest.raises(SchemaLockedError, match="what another session holds"):
            await migrate(single, lock_timeout=2 * SHORT)
        (line,) = log.lines
        assert line.startswith("schema 'graphile_worker': the migration takes long; whether it waits, and for whom, ")
        assert "too many connections for role" in line
    finally:
        await call_asyncio(peer.execute, "rollback")
        await call_asyncio(peer.execute, f"drop owned by {name}; drop role {name}")


@pytest.mark.timeout(120)
async def test_a_prepared_transaction(anyio_backend: str) -> None:
    """Nobody's session: pg_stat_activity does not have it, and pg_terminate_backend does not end it."""
    with restartable_server("-c max_prepared_transactions=1 -c fsync=off") as own:
        async with database_loop():
            engine = create_async_engine(own.url, poolclass=NullPool)
            db = await call_asyncio(connect, own.url)
            await call_asyncio(db.execute, f"begin; {lock_sql('graphile_worker')}")
            await call_asyncio(db.execute, "prepare transaction 'deploy'")
            holder = "a prepared transaction (see pg_prepared_xacts)"
            with kept_log() as log, pytest.raises(SchemaLockedError, match=r"what a prepared transaction \(see"):
                await migrate(engine, lock_timeout=SHORT)
            assert log.lines == [last_warning(holder)]
            await call_asyncio(db.execute, "rollback prepared 'deploy'")
            await call_asyncio(db.close)
