"""The worker schema as a step of somebody else's migrations, pinned to a revision of ours."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import render_python_code
from alembic.migration import MigrationContext
from alembic.operations import MigrateOperation, Operations
from alembic.operations.ops import UpgradeOps
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla.errors import ConfigurationError, GwSqlaError, SchemaError, SchemaTooOldError
from gw_sqla.operations import DowngradeJobSchemaOp, UpgradeJobSchemaOp
from gw_sqla.schema.check import check_schema
from gw_sqla.schema.migration_report import MigrationReport
from gw_sqla.schema.migrations import migrate
from gw_sqla.schema.revision_scripts import known_revisions
from gw_sqla.schema.supported_revisions import HEAD
from tests.operations.conftest import WEIRD, Migrator
from tests.schema.catalog import Catalog, read_at
from tests.schema.peer import make_peers
from tests.support.server import Server, connect

REVISIONS = known_revisions()
STEPS = list(zip([None, *REVISIONS], REVISIONS, strict=False))
"""Each of our revisions, as a history that was written one step at a time would have them."""


def by_migrate(url: str, revision: str = "head", schema: str = "graphile_worker") -> MigrationReport:
    async def run() -> MigrationReport:
        engine = create_async_engine(url, poolclass=sa.NullPool)
        return await migrate(engine, schema=schema, revision=revision)

    return asyncio.run(run())


def catalog(url: str, schema: str = "graphile_worker") -> Catalog:
    return asyncio.run(read_at(url, schema))


def invoking(operation: MigrateOperation) -> Callable[[Any], object]:
    return lambda op: op.invoke(operation)


def offline(work: Callable[[Any], object]) -> str:
    """Return the script that a user's ``alembic upgrade --sql`` writes."""
    buffer = io.StringIO()
    context = MigrationContext.configure(dialect_name="postgresql", opts={"as_sql": True, "output_buffer": buffer})
    with context.begin_transaction():
        work(Operations(context))
    return buffer.getvalue()


@pytest.fixture
def reference(server: Server) -> Any:
    """The catalog that `migrate` makes at a revision."""

    def at(revision: str, schema: str = "graphile_worker") -> Catalog:
        url = server.create_database()
        by_migrate(url, revision, schema)
        made = catalog(url, schema)
        server.drop_database(url)
        return made

    return at


@pytest.mark.parametrize("revision", REVISIONS)
def test_pinned_is_what_migrate_makes(empty: Migrator, reference: Any, revision: str) -> None:
    empty.migrate(lambda op: op.upgrade_job_schema(revision))
    assert catalog(empty.url) == reference(revision)
    empty.migrate(lambda op: op.upgrade_job_schema(revision))
    assert by_migrate(empty.url, revision).action == "unchanged", "the ways may meet"


@pytest.mark.parametrize("schema", ["graphile_worker", WEIRD], ids=["default", "weird"])
def test_step_by_step_and_back(empty: Migrator, reference: Any, schema: str) -> None:
    steps = [UpgradeJobSchemaOp(revision, start=start, schema=schema) for start, revision in STEPS]
    for step in steps:
        empty.migrate(invoking(step))
    assert catalog(empty.url, schema) == reference(HEAD, schema)
    for step in reversed(steps):
        empty.migrate(invoking(step.reverse()))
    assert catalog(empty.url, schema) == Catalog()


def test_offline_is_the_same(empty: Migrator, reference: Any) -> None:
    steps = [UpgradeJobSchemaOp(revision, start=start, schema=WEIRD) for start, revision in STEPS]
    empty.execute(offline(lambda op: [op.invoke(step) for step in steps]))
    assert catalog(empty.url, WEIRD) == reference(HEAD, WEIRD)
    assert by_migrate(empty.url, schema=WEIRD).action == "unchanged"
    empty.execute(offline(lambda op: [op.invoke(step.reverse()) for step in reversed(steps)]))
    assert catalog(empty.url, WEIRD) == Catalog()


def test_a_database_that_is_further_is_left_alone(empty: Migrator) -> None:
    """Somebody ran `migrate` of a newer gw_sqla, or a later step is in the database already."""
    by_migrate(empty.url)
    before = catalog(empty.url)
    empty.migrate(lambda op: op.upgrade_job_schema("0001"))
    assert catalog(empty.url) == before
    empty.execute("update graphile_worker._private_sqla_alembic_version set version_num = '0999'")
    empty.migrate(lambda op: [op.upgrade_job_schema(revision) for revision in REVISIONS])
    assert empty.rows("select version_num from graphile_worker._private_sqla_alembic_version") == [("0999",)]


def test_it_is_part_of_the_callers_transaction(empty: Migrator) -> None:
    def fail(op: Any) -> None:
        op.upgrade_job_schema(HEAD)
        op.execute("select nonsense")

    with pytest.raises(DBAPIError, match="nonsense"):
        empty.migrate(fail)
    assert catalog(empty.url) == Catalog()


def peers(url: str, ledger: int, age: str) -> None:
    async def make() -> None:
        connection = await connect(url)
        await make_peers(connection, ledger=ledger, age=age)
        await connection.close()

    asyncio.run(make())


@pytest.mark.parametrize("adopt", [True, False], ids=["offline", "online"])
def test_a_peers_schema_is_adopted(migrated: Migrator, adopt: bool) -> None:
    peers(migrated.url, 18, "1 day")
    if adopt:
        migrated.execute(offline(lambda op: op.upgrade_job_schema(HEAD, adopt=True)))
    else:
        migrated.migrate(lambda op: op.upgrade_job_schema(HEAD))

    async def check() -> None:
        engine: AsyncEngine = create_async_engine(migrated.url, poolclass=sa.NullPool)
        await check_schema(engine)

    asyncio.run(check())
    assert migrated.rows("select max(id) from graphile_worker.migrations") == [(19,)]


@pytest.mark.parametrize(("age", "error"), [("1 day", SchemaTooOldError), ("0 seconds", SchemaError)])
def test_a_schema_that_is_too_old_or_being_made(migrated: Migrator, age: str, error: type[GwSqlaError]) -> None:
    peers(migrated.url, 17, age)
    with pytest.raises(error, match="another installer" if error is SchemaError else "upgrade it with graphile-worker"):
        migrated.migrate(lambda op: op.upgrade_job_schema(HEAD))


def test_offline_stops_at_a_schema_that_is_there(migrated: Migrator) -> None:
    with pytest.raises(asyncpg.DuplicateTableError, match="already holds a Graphile Worker ledger"):
        migrated.execute(offline(lambda op: op.upgrade_job_schema(HEAD)))


def test_downgrade_refuses_while_there_are_jobs(migrated: Migrator) -> None:
    migrated.execute("select graphile_worker.add_job('a')")
    with pytest.raises(DBAPIError, match="still holds jobs"):
        migrated.migrate(lambda op: op.downgrade_job_schema("base", start=HEAD))


def test_offline_trigger_stops_without_a_worker_schema(empty: Migrator) -> None:
    empty.execute("create table orders (id int)")
    script = offline(lambda op: op.create_job_trigger("orders", "it's", when=sa.text("NEW.id % 2 = 0"), payload=["id"]))
    with pytest.raises(asyncpg.UndefinedFunctionError, match="no Graphile Worker schema 'graphile_worker'") as error:
        empty.execute(script)
    assert "gw_sqla migrate" in str(error.value.hint)
    empty.migrate(lambda op: op.upgrade_job_schema(HEAD))
    empty.execute(script)
    empty.execute("insert into orders values (1), (2)")
    assert empty.jobs() == [("it's", {"id": 2})]
    empty.execute(offline(lambda op: op.drop_job_trigger("orders", "it's")))
    empty.execute("drop table orders")


@pytest.mark.parametrize(
    ("revision", "start"), [("head", None), ("+1", None), ("0999", None), ("0002", "0002"), ("0001", "0002")]
)
def test_pins_that_mean_nothing(revision: str, start: str | None) -> None:
    with pytest.raises(ConfigurationError, match=r"has no revision|does not come before"):
        UpgradeJobSchemaOp(revision, start=start)


def test_reversal_and_diffs() -> None:
    up = UpgradeJobSchemaOp("0002", start="0001", schema="jobs")
    down = up.reverse()
    assert (down.revision, down.start, down.schema) == ("0001", "0002", "jobs")
    again = down.reverse()
    assert (again.revision, again.start, again.schema) == ("0002", "0001", "jobs")
    assert (UpgradeJobSchemaOp("0002").reverse().revision) == "base"
    assert up.to_diff_tuple() == ("upgrade_job_schema", "0002", "jobs")
    assert down.to_diff_tuple() == ("downgrade_job_schema", "0001", "jobs")


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (UpgradeJobSchemaOp("0001"), "op.upgrade_job_schema('0001')"),
        (
            UpgradeJobSchemaOp("0002", start="0001", schema="jobs", adopt=True),
            "op.upgrade_job_schema('0002', start='0001', adopt=True, schema='jobs')",
        ),
        (DowngradeJobSchemaOp("base", start="0001"), "op.downgrade_job_schema('base', start='0001')"),
    ],
)
def test_what_autogenerate_writes(operation: MigrateOperation, code: str) -> None:
    assert code in render_python_code(UpgradeOps([operation]))
