"""migrate on schemas that Graphile Worker made, or is making."""

from __future__ import annotations

import json
import logging
from collections import Counter
from typing import Any

import anyio
import anyio.lowlevel
import asyncpg
import pytest
from sqlalchemy import NullPool, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.errors import AccessError, SchemaTooNewError, SchemaTooOldError
from gw_sqla.schema.check import check_schema
from gw_sqla.schema.migration_report import MigrationReport
from gw_sqla.schema.migrations import migrate, migration_sql
from gw_sqla.schema.supported_revisions import HEAD
from tests.schema.catalog import Catalog, read, read_at
from tests.schema.contract import CONTRACT, OURS
from tests.schema.peer import make_peers, peer_environment
from tests.schema.roles import Role
from tests.schema.waiting import Heard, until
from tests.support.server import connect, execute

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


ADOPTED = MigrationReport("graphile_worker", "adopted", None, HEAD)
BODIES = """
select p.oid::int, xmin::text, prosrc from pg_proc p
where pronamespace = 'graphile_worker'::regnamespace and proname not like 'sqla%'
"""
ROWS = "select xmin::text, * from graphile_worker._private_jobs"


async def peers(url: str, ledger: int = 19, age: str = "1 day", extra: str = "") -> None:
    connection = await connect(url)
    await make_peers(connection, ledger=ledger, age=age)
    await connection.execute("select graphile_worker.add_job('a', job_key := 'k')" + extra)
    await connection.close()


async def fetch(url: str, sql: str) -> list[asyncpg.Record]:
    connection = await connect(url)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


@pytest.mark.parametrize(("ledger", "extra"), [(19, ""), (18, ""), (19, "20, false"), (19, "20, false), (21, false")])
async def test_adopts_without_touching_anything(
    migrated_engine: AsyncEngine, migrated_database: str, ledger: int, extra: str
) -> None:
    more = extra and f"; insert into graphile_worker.migrations (id, breaking) values ({extra})"
    await call_asyncio(peers, migrated_database, ledger=ledger, extra=more)
    bodies, rows = (
        await call_asyncio(fetch, migrated_database, BODIES),
        await call_asyncio(fetch, migrated_database, ROWS),
    )
    before = await call_asyncio(read_at, migrated_database)
    assert await migrate(migrated_engine) == ADOPTED
    after = await call_asyncio(read_at, migrated_database)
    assert after.ledger == before.ledger | {19: True}
    after.ledger = before.ledger
    assert after == before | OURS.named("graphile_worker")
    assert await call_asyncio(fetch, migrated_database, BODIES) == bodies
    assert await call_asyncio(fetch, migrated_database, ROWS) == rows
    assert (await migrate(migrated_engine)).action == "unchanged"
    await check_schema(migrated_engine)


@pytest.mark.parametrize(("ledger", "payloads"), [(18, [{"migrationNumber": 19, "breaking": True}]), (19, [])])
async def test_marker_is_announced(
    migrated_engine: AsyncEngine, migrated_database: str, ledger: int, payloads: list[Any]
) -> None:
    await call_asyncio(peers, migrated_database, ledger=ledger)
    listener = await call_asyncio(connect, migrated_database)
    heard = Heard(listener, "worker:migrate")
    await heard.start()
    await migrate(migrated_engine)
    assert [json.loads(payload) for payload in await heard.all()] == payloads
    await call_asyncio(listener.close)


async def test_creation_is_not_announced(empty_engine: AsyncEngine, peer: asyncpg.Connection) -> None:
    """A Node worker on any schema of the database would stop."""
    heard = Heard(peer, "worker:migrate")
    await heard.start()
    await migrate(empty_engine)
    assert await heard.all() == []


@pytest.mark.parametrize("ledger", [17, 10])
async def test_too_old(migrated_engine: AsyncEngine, migrated_database: str, ledger: int) -> None:
    await call_asyncio(peers, migrated_database, ledger=ledger)
    before = await call_asyncio(read_at, migrated_database)
    with anyio.fail_after(5), pytest.raises(SchemaTooOldError, match=r"graphile-worker 0\.16 or later first"):
        await migrate(migrated_engine)
    assert await call_asyncio(read_at, migrated_database) == before


@pytest.mark.parametrize("adopted", [False, True])
async def test_too_new(migrated_engine: AsyncEngine, migrated_database: str, adopted: bool) -> None:
    if not adopted:
        await call_asyncio(peers, migrated_database)
    await call_asyncio(
        execute,
        migrated_database,
        "insert into graphile_worker.migrations (id, breaking) values (20, false), (21, true)",
    )
    before = await call_asyncio(read_at, migrated_database)
    with pytest.raises(SchemaTooNewError, match="breaking migration 21") as raised:
        await migrate(migrated_engine)
    assert raised.value.exit_code == 57
    assert await call_asyncio(read_at, migrated_database) == before


async def test_waits_for_an_installer_at_work(
    migrated_engine: AsyncEngine, migrated_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A short ledger with a fresh row is not an old schema: the rest is on its way."""
    caplog.set_level(logging.INFO)
    await call_asyncio(peers, migrated_database, ledger=5, age="0 seconds")
    reports = []

    async def ours() -> None:
        reports.append(await migrate(migrated_engine))

    async def told() -> bool:
        return "another installer is at work" in caplog.text

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(ours)
            await until(told)
            rest = "insert into graphile_worker.migrations (id, breaking) select id, id in (11, 13, 14, 16, 19)"
            await call_asyncio(execute, migrated_database, f"{rest} from generate_series(6, 19) as id")
    assert reports == [ADOPTED]


async def test_role_that_does_not_own_the_peers_tables(
    migrated_engine: AsyncEngine, migrated_database: str, role: Role
) -> None:
    await call_asyncio(peers, migrated_database)
    for grant in ("usage, create on schema graphile_worker", "all on all tables in schema graphile_worker"):
        await call_asyncio(execute, migrated_database, f"grant {grant} to {role.name}")
    await call_asyncio(execute, migrated_database, f"alter role {role.name} bypassrls")
    with pytest.raises(AccessError, match="must be owner of table _private_jobs"):
        await migrate(role.engine(migrated_database))


@pytest.mark.parametrize("ledger", [18, 19])
async def test_script_for_adoption(migrated_database: str, migrated_engine: AsyncEngine, ledger: int) -> None:
    await call_asyncio(peers, migrated_database, ledger=ledger)
    await call_asyncio(execute, migrated_database, migration_sql(adopt=True))
    after = await call_asyncio(read_at, migrated_database)
    assert after == (CONTRACT | OURS).named("graphile_worker")
    assert (await migrate(migrated_engine)).action == "unchanged"
    with pytest.raises(asyncpg.DuplicateTableError):
        await call_asyncio(execute, migrated_database, migration_sql(adopt=True))


@pytest.mark.parametrize(
    ("ledger", "extra", "message"),
    [
        (17, "", "too old"),
        (19, "; insert into graphile_worker.migrations (id, breaking) values (21, true)", "unknown here"),
    ],
)
async def test_script_for_adoption_refuses(
    migrated_database: str, migrated_engine: AsyncEngine, ledger: int, extra: str, message: str
) -> None:
    await call_asyncio(peers, migrated_database, ledger=ledger, extra=extra)
    before = await call_asyncio(read_at, migrated_database)
    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError, match=message):
        await call_asyncio(execute, migrated_database, migration_sql(adopt=True))
    assert await call_asyncio(read_at, migrated_database) == before


@pytest.mark.interop
async def test_adopts_what_node_made_and_node_accepts_it(
    empty_engine: AsyncEngine, empty_database: str, peer_cli: list[str]
) -> None:
    environment = peer_environment(make_url(empty_database))
    command = [*peer_cli, "--schema-only"]
    await anyio.run_process(command, env=environment)
    await call_asyncio(
        execute, empty_database, "select graphile_worker.add_job('a', '{\"n\": 1}', 'q', job_key := 'k')"
    )
    bodies, rows = await call_asyncio(fetch, empty_database, BODIES), await call_asyncio(fetch, empty_database, ROWS)
    assert await migrate(empty_engine) == ADOPTED
    assert await call_asyncio(fetch, empty_database, BODIES) == bodies
    assert await call_asyncio(fetch, empty_database, ROWS) == rows
    after = await call_asyncio(read_at, empty_database)
    await anyio.run_process(command, env=environment)
    assert await call_asyncio(read_at, empty_database) == after


@pytest.mark.interop
async def test_node_accepts_what_we_made(
    empty_engine: AsyncEngine, empty_database: str, peer_cli: list[str], peers_own: Catalog
) -> None:
    await migrate(empty_engine)
    before = await call_asyncio(read_at, empty_database)
    await anyio.run_process([*peer_cli, "--schema-only"], env=peer_environment(make_url(empty_database)))
    assert await call_asyncio(read_at, empty_database) == before | peers_own
    assert (await migrate(empty_engine)).action == "unchanged"


@pytest.mark.interop
@pytest.mark.parametrize("head_start", ["none", "node's ledger is there", "ours waits"])
async def test_race_with_nodes_installer(
    empty_engine: AsyncEngine,
    empty_database: str,
    watcher: asyncpg.Connection,
    peer_cli: list[str],
    peers_own: Catalog,
    head_start: str,
) -> None:
    """Whoever comes first makes the schema; five of ours and Node's installer all succeed."""
    actions: list[str] = []

    async def one() -> None:
        engine = create_async_engine(empty_database, poolclass=NullPool)
        actions.append((await migrate(engine)).action)
        await call_asyncio(engine.dispose)

    async def node() -> None:
        await anyio.run_process([*peer_cli, "--schema-only"], env=peer_environment(make_url(empty_database)))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(node)
            sign = {
                "none": "select true",
                "node's ledger is there": "select to_regclass('graphile_worker.migrations') is not null",
                "ours waits": "select count(*) > 1 from pg_stat_activity where datname = current_database()",
            }[head_start]
            while not await call_asyncio(watcher.fetchval, sign):
                await anyio.lowlevel.checkpoint()
            for _ in range(5):
                group.start_soon(one)
    assert Counter(actions) in ({"created": 1, "unchanged": 4}, {"adopted": 1, "unchanged": 4})
    after = await call_asyncio(read, watcher, "graphile_worker")
    assert after == (CONTRACT | OURS | peers_own).named("graphile_worker")
