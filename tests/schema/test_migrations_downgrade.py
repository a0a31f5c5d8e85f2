"""downgrade removes what we made, refuses while jobs exist, and leaves a peer's schema to the peer."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.errors import AccessError, ConfigurationError, SchemaInUseError
from gw_sqla.schema.migration_report import MigrationReport
from gw_sqla.schema.migrations import downgrade, migrate
from gw_sqla.schema.supported_revisions import HEAD, VERSION_TABLE
from gw_sqla.statements.quoting import quoted
from tests.schema.catalog import Catalog, read_at
from tests.schema.contract import CONTRACT, WEIRD
from tests.schema.peer import make_peers
from tests.schema.roles import Role
from tests.support.server import connect, execute

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def value(url: str, sql: str) -> object:
    connection = await connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def schemas(url: str) -> object:
    return await value(url, "select array_agg(nspname::text order by 1) from pg_namespace where nspname !~ '^pg_'")


@pytest.mark.parametrize("schema", ["graphile_worker", WEIRD], ids=["default", "weird"])
async def test_leaves_nothing(empty_engine: AsyncEngine, empty_database: str, schema: str) -> None:
    before = await call_asyncio(schemas, empty_database)
    await migrate(empty_engine, schema=schema)
    await call_asyncio(
        execute, empty_database, f"select {quoted(schema)}.add_job('a', job_key := 'k', queue_name := 'q')"
    )
    await call_asyncio(execute, empty_database, f"select {quoted(schema)}.remove_job('k')")
    assert await downgrade(empty_engine, schema=schema) == MigrationReport(schema, "downgraded", HEAD, None)
    assert await call_asyncio(schemas, empty_database) == before
    assert (await migrate(empty_engine, schema=schema)).action == "created"


async def test_refuses_while_there_are_jobs(migrated_engine: AsyncEngine, migrated_database: str) -> None:
    await call_asyncio(execute, migrated_database, "select graphile_worker.add_job('a')")
    before = await call_asyncio(read_at, migrated_database)
    with pytest.raises(SchemaInUseError, match="schema graphile_worker still holds jobs: run or delete them") as raised:
        await downgrade(migrated_engine)
    assert raised.value.schema == "graphile_worker"
    assert await call_asyncio(read_at, migrated_database) == before, "nothing of it is kept, the index neither"


async def test_refuses_while_others_depend_on_it(migrated_engine: AsyncEngine, migrated_database: str) -> None:
    await call_asyncio(execute, migrated_database, "create view public.mine as select * from graphile_worker.jobs")
    with pytest.raises(SchemaInUseError, match=r"view (public\.)?mine depends on view graphile_worker\.jobs"):
        await downgrade(migrated_engine)


async def test_step_by_step(migrated_engine: AsyncEngine, migrated_database: str) -> None:
    await call_asyncio(execute, migrated_database, "select graphile_worker.add_job('a')")
    assert await downgrade(migrated_engine, revision="0001") == MigrationReport(
        "graphile_worker", "downgraded", HEAD, "0001"
    )
    assert "sqla_jobs_queue_index" not in (await call_asyncio(read_at, migrated_database)).indexes
    assert (await migrate(migrated_engine)).action == "upgraded"


ADD_JOBS = "select prosrc from pg_proc where oid = 'graphile_worker.add_jobs'::regproc"


async def test_add_jobs_is_replaced_and_put_back(migrated_engine: AsyncEngine, migrated_database: str) -> None:
    newest = await call_asyncio(value, migrated_database, ADD_JOBS)
    await downgrade(migrated_engine, revision="0004")
    former = await call_asyncio(value, migrated_database, ADD_JOBS)
    assert "in the order of the specs" in str(newest).lower()
    assert "in the order of the specs" not in str(former).lower()
    await migrate(migrated_engine)
    assert await call_asyncio(value, migrated_database, ADD_JOBS) == newest


@pytest.mark.parametrize("upwards", [False, True])
async def test_add_jobs_that_a_peer_has_replaced_stays(
    migrated_engine: AsyncEngine, migrated_database: str, upwards: bool
) -> None:
    """Graphile Worker 0.18 replaces it, with migration 20."""
    if upwards:
        await downgrade(migrated_engine, revision="0004")
    await call_asyncio(
        execute,
        migrated_database,
        "insert into graphile_worker.migrations values (20, now(), false);"
        "create or replace function graphile_worker.add_jobs(specs graphile_worker.job_spec[], "
        "job_key_preserve_run_at boolean default false) returns setof graphile_worker._private_jobs "
        "language sql as $$ select * from graphile_worker._private_jobs $$",
    )
    theirs = await call_asyncio(value, migrated_database, ADD_JOBS)
    if upwards:
        await migrate(migrated_engine)
    else:
        await downgrade(migrated_engine, revision="0004")
    assert await call_asyncio(value, migrated_database, ADD_JOBS) == theirs


@pytest.mark.parametrize("exists", [False, True])
async def test_of_nothing_does_nothing(empty_engine: AsyncEngine, empty_database: str, exists: bool) -> None:
    if exists:
        await call_asyncio(execute, empty_database, "create schema graphile_worker")
    before = await call_asyncio(schemas, empty_database)
    assert (await downgrade(empty_engine)).action == "unchanged"
    assert await call_asyncio(schemas, empty_database) == before


async def test_schema_made_by_somebody_else_stays(empty_engine: AsyncEngine, empty_database: str) -> None:
    await call_asyncio(execute, empty_database, "create schema graphile_worker")
    before = await call_asyncio(schemas, empty_database)
    await migrate(empty_engine)
    await downgrade(empty_engine)
    assert await call_asyncio(schemas, empty_database) == before
    assert await call_asyncio(read_at, empty_database) == Catalog()


async def test_schema_with_something_else_in_it_stays(migrated_engine: AsyncEngine, migrated_database: str) -> None:
    await call_asyncio(execute, migrated_database, "create table graphile_worker.mine (id int)")
    await downgrade(migrated_engine)
    assert (await call_asyncio(read_at, migrated_database)).relations == {"mine": "r"}


@pytest.mark.parametrize("how", ["made by a peer", "migrated by a peer"])
async def test_peers_schema_loses_our_objects_only(
    migrated_engine: AsyncEngine, migrated_database: str, how: str
) -> None:
    async def prepare() -> None:
        connection = await connect(migrated_database)
        if how == "made by a peer":
            await make_peers(connection)
        else:
            await connection.execute("insert into graphile_worker.migrations (id) values (20)")
        await connection.execute("select graphile_worker.add_job('a')")
        await connection.close()

    await call_asyncio(prepare)
    assert (await migrate(migrated_engine)).action == ("adopted" if how == "made by a peer" else "unchanged")
    assert (await downgrade(migrated_engine)).action == "downgraded"
    after = await call_asyncio(read_at, migrated_database)
    after.ledger.pop(20, None)
    assert after == CONTRACT.named("graphile_worker")
    assert await call_asyncio(value, migrated_database, "select count(*) from graphile_worker._private_jobs") == 1


async def test_unknown_revision(migrated_engine: AsyncEngine) -> None:
    with pytest.raises(ConfigurationError, match="0099"):
        await downgrade(migrated_engine, revision="0099")


@pytest.mark.parametrize("revision", ["base", "0001"])
async def test_of_a_newer_versions_schema(migrated_engine: AsyncEngine, migrated_database: str, revision: str) -> None:
    """Its way down is not known here; it is not left alone in silence, as by migrate."""
    newer = f"update graphile_worker.{VERSION_TABLE} set version_num = '0999'"
    await call_asyncio(execute, migrated_database, newer)
    before = await call_asyncio(read_at, migrated_database)
    with pytest.raises(ConfigurationError, match="0999"):
        await downgrade(migrated_engine, revision=revision)
    assert await call_asyncio(read_at, migrated_database) == before


async def test_role_without_rights(migrated_engine: AsyncEngine, migrated_database: str, role: Role) -> None:
    with pytest.raises(AccessError):
        await downgrade(role.engine(migrated_database))
