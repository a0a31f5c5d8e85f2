"""check_schema: what a worker is told at its start, and that it needs no rights but its own."""

from __future__ import annotations

import logging
import shlex
import subprocess
import sys

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.errors import (
    AccessError,
    ConfigurationError,
    SchemaBehindError,
    SchemaMissingError,
    SchemaTooNewError,
    SchemaTooOldError,
)
from gw_sqla.schema.check import check_schema
from gw_sqla.schema.grants import apply_grants
from gw_sqla.schema.migrations import migrate
from gw_sqla.schema.rights import RoleKind
from gw_sqla.schema.supported_revisions import HEAD, VERSION_TABLE
from tests.schema.roles import Role
from tests.support.server import execute

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


WORKERS_GRANTS = f"""
    grant usage on schema graphile_worker to ROLE;
    grant select on graphile_worker.migrations, graphile_worker.{VERSION_TABLE} to ROLE;
    grant select, update, delete on graphile_worker._private_jobs to ROLE;
    grant select, update on graphile_worker._private_job_queues to ROLE;
    grant select, insert on graphile_worker._private_tasks to ROLE;
    grant select, insert, update, delete on graphile_worker._private_sqla_workers to ROLE;
    grant select, insert, update, delete on graphile_worker._private_sqla_snoozes to ROLE;
    grant select on graphile_worker._private_sqla_pauses to ROLE;
    grant select, insert, update, delete on graphile_worker._private_sqla_forwarded to ROLE;
"""


async def grant(url: str, role: Role, sql: str) -> None:
    await call_asyncio(execute, url, sql.replace("ROLE", role.name))


async def test_passes(migrated_engine: AsyncEngine, caplog: pytest.LogCaptureFixture) -> None:
    statements: list[str] = []
    event.listen(migrated_engine.sync_engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    state = await check_schema(migrated_engine)
    assert (state.newest, state.version, state.missing, state.hidden) == (19, HEAD, (), ())
    assert len(statements) == 2, "round trips"
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        ("drop schema graphile_worker cascade", SchemaMissingError, "run: python -m gw_sqla migrate$"),
        ("drop table graphile_worker.migrations", SchemaMissingError, "there is no Graphile Worker schema"),
        ("truncate graphile_worker.migrations", SchemaMissingError, "there is no Graphile Worker schema"),
        (f"drop table graphile_worker.{VERSION_TABLE}", SchemaBehindError, "run: python -m gw_sqla migrate$"),
        (f"truncate graphile_worker.{VERSION_TABLE}", SchemaBehindError, "run: python -m gw_sqla migrate$"),
        (f"update graphile_worker.{VERSION_TABLE} set version_num = '0001'", SchemaBehindError, "needs 19 and 0014"),
        (
            "delete from graphile_worker.migrations where id = 19",
            SchemaBehindError,
            "is at Graphile Worker revision 18",
        ),
        ("delete from graphile_worker.migrations where id > 17", SchemaTooOldError, r"graphile-worker 0\.16 or later"),
        ("alter table graphile_worker.migrations drop breaking", SchemaTooOldError, "old Graphile Worker"),
        ("insert into graphile_worker.migrations values (20, now(), true)", SchemaTooNewError, "upgrade gw_sqla"),
        (
            "insert into graphile_worker.migrations values (20, now(), true), (21, now(), false)",
            SchemaTooNewError,
            "migration 20",
        ),
    ],
)
async def test_refuses(
    migrated_engine: AsyncEngine, migrated_database: str, sql: str, error: type[Exception], message: str
) -> None:
    await call_asyncio(execute, migrated_database, sql)
    with pytest.raises(error, match=message):
        await check_schema(migrated_engine)


async def test_names_the_schema_for_the_shell(migrated_engine: AsyncEngine) -> None:
    with pytest.raises(SchemaMissingError, match=r"migrate --schema 'jobs here'$") as raised:
        await check_schema(migrated_engine, schema="jobs here")
    assert raised.value.schema == "jobs here"
    with pytest.raises(ConfigurationError):
        await check_schema(migrated_engine, schema="")


@pytest.mark.parametrize(
    ("sql", "warning"),
    [
        ("insert into graphile_worker.migrations values (20), (21)", "revision 21, newer than 19 but not breaking"),
        (f"update graphile_worker.{VERSION_TABLE} set version_num = '0999'", "newer gw_sqla: revision 0999"),
    ],
)
async def test_warns(
    migrated_engine: AsyncEngine, migrated_database: str, sql: str, warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    await call_asyncio(execute, migrated_database, sql)
    await check_schema(migrated_engine)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert warning in caplog.text


async def test_role_without_rights(migrated_engine: AsyncEngine, migrated_database: str, role: Role) -> None:
    engine = role.engine(migrated_database)
    least = rf"have that role run: python -m gw_sqla grants {role.name} --as worker --apply$"
    with pytest.raises(AccessError, match=f"may not use schema.*{least}"):
        await check_schema(engine)
    await grant(migrated_database, role, "grant usage on schema graphile_worker to ROLE")
    with pytest.raises(AccessError, match=r"lacks rights .*DELETE on _private_jobs.*SELECT on migrations"):
        await check_schema(engine)
    await grant(migrated_database, role, WORKERS_GRANTS)
    with pytest.raises(AccessError, match=f"row level security hides the rows of _private_job_queues.*{least}"):
        await check_schema(engine)
    await grant(
        migrated_database, role, "create policy theirs on graphile_worker._private_jobs to postgres using (true)"
    )
    with pytest.raises(AccessError, match=r"row level security hides the rows of .*_private_jobs,"):
        await check_schema(engine)
    await grant(migrated_database, role, "revoke delete on graphile_worker._private_jobs from ROLE")
    with pytest.raises(AccessError, match=r"lacks rights .*\(DELETE on _private_jobs\)"):
        await check_schema(engine)


@pytest.mark.parametrize("way", ["bypassrls", "policy", "owner"])
async def test_role_with_just_the_rights(
    migrated_engine: AsyncEngine, migrated_database: str, role: Role, way: str
) -> None:
    """No CREATE, nothing beyond what a worker does; the three ways around row level security."""
    ours = [f"_private_sqla_{table}" for table in ("workers", "snoozes", "pauses", "forwarded", "alembic_version")]
    tables = ["_private_jobs", "_private_job_queues", "_private_tasks", *ours]
    ways = {
        "bypassrls": "alter role ROLE bypassrls;",
        "policy": ";".join(f"create policy mine on graphile_worker.{table} to ROLE using (true)" for table in tables),
        "owner": ";".join(f"alter table graphile_worker.{table} owner to ROLE" for table in tables),
    }
    await grant(migrated_database, role, WORKERS_GRANTS + ways[way])
    state = await check_schema(role.engine(migrated_database))
    assert (state.role, state.version) == (role.name, HEAD)


@pytest.mark.parametrize("kind", ["adder", "reader", "worker", "admin", "cleaner"])
async def test_advice_of_the_error_helps(
    migrated_engine: AsyncEngine, migrated_database: str, role: Role, kind: RoleKind
) -> None:
    """Whoever runs the command that the message gives ends with a role that works."""
    engine = role.engine(migrated_database)
    with pytest.raises(AccessError) as raised:
        await check_schema(engine, as_=kind)
    _, _, program, command, name, option, as_, apply = shlex.split(str(raised.value).rpartition("run: ")[2])
    assert (program, command, option, as_, apply) == ("gw_sqla", "grants", "--as", kind, "--apply")
    await apply_grants(migrated_engine, name, as_=kind)
    await check_schema(engine, as_=kind)


async def test_a_role_that_may_not_know_how_old_the_schema_is(
    migrated_engine: AsyncEngine, migrated_database: str, role: Role
) -> None:
    await apply_grants(migrated_engine, role.name, as_="adder")
    await grant(migrated_database, role, "insert into graphile_worker.migrations values (20, now(), true)")
    assert (await check_schema(role.engine(migrated_database), as_="adder")).newest is None
    await grant(migrated_database, role, "grant select on graphile_worker.migrations to ROLE")
    assert (await check_schema(role.engine(migrated_database), as_="adder")).newest is None, "version is hidden"
    await grant(migrated_database, role, f"grant select on graphile_worker.{VERSION_TABLE} to ROLE")
    policy = f"create policy mine on graphile_worker.{VERSION_TABLE} to ROLE using (true)"
    await grant(migrated_database, role, policy)
    with pytest.raises(SchemaTooNewError):
        await check_schema(role.engine(migrated_database), as_="adder")


async def test_missing_schema_without_rights(empty_engine: AsyncEngine, empty_database: str, role: Role) -> None:
    with pytest.raises(SchemaMissingError):
        await check_schema(role.engine(empty_database))
    await migrate(empty_engine)
    with pytest.raises(AccessError):
        await check_schema(role.engine(empty_database))


def test_start_of_a_worker_does_not_load_alembic() -> None:
    program = "import sys, gw_sqla.schema.check, gw_sqla.schema.migrations; sys.exit('alembic' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
