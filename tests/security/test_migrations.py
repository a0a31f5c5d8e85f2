"""Migrations by a role that is no superuser run nobody's code but PostgreSQL's, and leave none in what they make."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from gw_sqla.operations import UpgradeJobSchemaOp
from gw_sqla.schema.check import check_schema
from gw_sqla.schema.migrations import downgrade, migrate, migration_sql
from gw_sqla.schema.supported_revisions import HEAD
from tests.security.conftest import assert_unharmed
from tests.security.hostile import plant_temporary, silence
from tests.security.sessions import Resolved, hostile_engine
from tests.support.server import connect, execute

STRANGERS = """select pg_catalog.count(*) from pg_catalog.pg_depend d
where d.classid = any (array['pg_attrdef', 'pg_constraint', 'pg_proc', 'pg_rewrite', 'pg_class']::regclass[]::oid[])
and d.refclassid = any (array['pg_proc', 'pg_operator', 'pg_type']::regclass[]::oid[]) and d.refobjid >= 16384
and pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) like '%graphile_worker%'
and pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0) not like '%graphile_worker%'"""
"""What of the schema depends on something that is neither PostgreSQL's nor the schema's."""


@pytest.fixture
def empty(hostile_empty_database: str, place: str, resolved: Resolved) -> Iterator[str]:
    """The hostile database without a worker schema; at the end nothing hostile may have been called."""
    asyncio.run(_silence(hostile_empty_database))
    yield hostile_empty_database
    asyncio.run(execute(hostile_empty_database, "drop schema if exists graphile_worker cascade"))
    asyncio.run(assert_unharmed(hostile_empty_database, place, resolved))


async def _silence(url: str) -> None:
    db = await connect(url)
    await silence(db)
    await db.close()


async def assert_without_strangers(url: str) -> None:
    """Fail where the schema was made with something that is neither PostgreSQL's nor its own."""
    db = await connect(url)
    await db.execute("set search_path = pg_catalog")
    assert await db.fetchval(STRANGERS) == 0
    await db.close()


def test_up_and_down(empty: str, victim: str, resolved: Resolved) -> None:
    async def run() -> None:
        engine = hostile_engine(empty, victim, resolved)
        for _ in range(2):
            assert (await migrate(engine)).after == HEAD
            await check_schema(engine)
            await assert_without_strangers(empty)
            await downgrade(engine, revision="0004")
            await migrate(engine, revision="0006")
            await assert_without_strangers(empty)
            await downgrade(engine)
        await engine.dispose()

    asyncio.run(run())
    assert resolved.statements > 50


def test_adoption(empty: str, victim: str, resolved: Resolved) -> None:
    """Of a schema as a peer would have left it: without our version."""

    async def run() -> None:
        engine = hostile_engine(empty, victim, resolved)
        await migrate(engine, revision="0001")
        await execute(empty, "drop table graphile_worker._private_sqla_alembic_version")
        assert (await migrate(engine)).action == "adopted"
        await assert_without_strangers(empty)
        await engine.dispose()

    asyncio.run(run())


def test_a_script(empty: str, victim: str) -> None:
    async def run() -> None:
        db = await connect(empty)
        await db.execute(f"set role {victim}")
        await plant_temporary(db)
        await db.execute(migration_sql())
        assert await db.fetchval("show search_path") == '"$user", public'
        await db.close()
        await assert_without_strangers(empty)

    asyncio.run(run())


@pytest.mark.parametrize("offline", [False, True])
def test_a_step_of_somebodys_own_migration_puts_the_path_back(empty: str, victim: str, offline: bool) -> None:
    """As it was in the transaction, whichever way that was set."""
    import io

    engine = sa.create_engine(sa.make_url(empty).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("set search_path = pg_catalog")
        connection.exec_driver_sql(f"set local role {victim}")
        connection.exec_driver_sql("set local search_path = public, pg_catalog")
        step = UpgradeJobSchemaOp("0007")
        if offline:
            script = io.StringIO()
            opts = {"as_sql": True, "output_buffer": script}
            Operations(MigrationContext.configure(dialect_name="postgresql", opts=opts)).invoke(step)
            connection.exec_driver_sql(script.getvalue(), execution_options={"no_parameters": True})
        else:
            Operations(MigrationContext.configure(connection)).invoke(step)
        assert connection.exec_driver_sql("show search_path").scalar() == "public, pg_catalog"
