"""What a role lacks and what it may do beyond, wherever it has its rights from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.errors import ConfigurationError, SchemaMissingError
from gw_sqla.schema.grants import apply_grants
from gw_sqla.schema.rights import RoleKind
from gw_sqla.schema.role_check import check_role
from tests.schema.roles import Role, temporary_role
from tests.support.server import Server, execute

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def role(server: Server, clean_database: str) -> Iterator[Role]:
    """A role without rights, in the module's database."""
    with temporary_role(server, clean_database) as made:
        yield made


@pytest.fixture
def group(server: Server, clean_database: str, role: Role) -> Iterator[Role]:
    """A role of which the other is a member."""
    with temporary_role(server, clean_database) as made:
        server.execute(f"grant {made.name} to {role.name}")
        yield made


async def test_a_role_without_rights(engine: AsyncEngine, clean_database: str, role: Role) -> None:
    """It may ask for itself: the catalog is everybody's."""
    findings = await check_role(role.engine(clean_database), as_="adder")
    assert findings.role == role.name
    assert findings.missing == (
        "USAGE on the schema",
        "SELECT on _private_jobs",
        "INSERT on _private_jobs",
        "UPDATE on _private_jobs",
        "SELECT on _private_job_queues",
        "INSERT on _private_job_queues",
        "SELECT on _private_tasks",
        "INSERT on _private_tasks",
        "a policy on _private_jobs",
        "a policy on _private_job_queues",
        "a policy on _private_tasks",
    )
    assert findings.beyond == ()


async def test_rights_of_a_group_are_its_members(
    engine: AsyncEngine, clean_database: str, role: Role, group: Role
) -> None:
    await apply_grants(engine, group.name, as_="worker")
    findings = await check_role(engine, role=role.name, as_="worker")
    assert (findings.missing, findings.beyond) == ((), ())
    findings = await check_role(engine, role=role.name, as_="reader")
    assert {"SELECT on jobs", "SELECT on _private_sqla_audit"} <= set(findings.missing)
    assert "DELETE on _private_jobs" in findings.beyond
    assert "SELECT on migrations" in findings.beyond


@pytest.mark.parametrize(
    ("given", "taken", "beyond"),
    [
        ("grant truncate on graphile_worker._private_jobs to ROLE", "", "TRUNCATE on _private_jobs"),
        (
            "grant insert on graphile_worker.migrations to public",
            "revoke insert on graphile_worker.migrations from public",
            "INSERT on migrations",
        ),
        ("grant select on graphile_worker.jobs to ROLE", "", "SELECT on jobs"),
        ("grant create on schema graphile_worker to ROLE", "", "CREATE on the schema"),
        ("alter role ROLE bypassrls", "", "BYPASSRLS, which opens every table of the database"),
        ("alter role ROLE superuser", "", "SUPERUSER: nothing is refused to it, in any database"),
        (
            "alter table graphile_worker._private_tasks owner to ROLE",
            "alter table graphile_worker._private_tasks owner to postgres",
            "ownership of _private_tasks",
        ),
        (
            "alter function graphile_worker.add_jobs owner to ROLE",
            "alter function graphile_worker.add_jobs owner to postgres",
            "ownership of add_jobs",
        ),
        (
            "alter schema graphile_worker owner to ROLE; revoke create on schema graphile_worker from ROLE",
            "alter schema graphile_worker owner to postgres",
            "ownership of the schema",
        ),
    ],
)
async def test_beyond(
    engine: AsyncEngine, clean_database: str, role: Role, given: str, taken: str, beyond: str
) -> None:
    await apply_grants(engine, role.name, as_="adder")
    await execute(clean_database, given.replace("ROLE", role.name))
    try:
        findings = await check_role(engine, role=role.name, as_="adder")
    finally:
        await execute(clean_database, taken or f"alter role {role.name} nosuperuser nobypassrls")
    assert (findings.missing, findings.beyond) == ((), (beyond,))


async def test_a_member_of_the_owner_who_does_not_inherit(engine: AsyncEngine, clean_database: str, role: Role) -> None:
    """It becomes the owner by ``set role``."""
    table = "graphile_worker._private_tasks"
    await apply_grants(engine, role.name, as_="adder")
    await execute(clean_database, f"create role {role.name}_owner; alter role {role.name} noinherit")
    await execute(
        clean_database, f"grant {role.name}_owner to {role.name}; alter table {table} owner to {role.name}_owner"
    )
    try:
        findings = await check_role(engine, role=role.name, as_="adder")
    finally:
        await execute(clean_database, f"alter table {table} owner to postgres; drop role {role.name}_owner")
    assert (findings.missing, findings.beyond) == ((), ("ownership of _private_tasks",))


async def test_policies_that_do_not_count(engine: AsyncEngine, clean_database: str, role: Role) -> None:
    """One for somebody else, and one that only restricts."""
    await apply_grants(engine, role.name, as_="adder")
    table = "graphile_worker._private_jobs"
    for policy in ("to pg_monitor", "as restrictive to ROLE"):
        sql = f"drop policy if exists ROLE on {table}; create policy ROLE on {table} {policy} using (true)"
        await execute(clean_database, sql.replace("ROLE", role.name))
        assert (await check_role(engine, role=role.name, as_="adder")).missing == ("a policy on _private_jobs",)
        await execute(clean_database, f"drop policy {role.name} on {table}")
    await execute(clean_database, f"create policy everybodys on {table} using (true)")
    assert (await check_role(engine, role=role.name, as_="adder")).missing == ()
    await execute(clean_database, f"drop policy everybodys on {table}")


async def test_the_owner_of_tables_whose_row_level_security_is_forced(
    engine: AsyncEngine, clean_database: str, role: Role
) -> None:
    await apply_grants(engine, role.name, as_="adder")
    table = "graphile_worker._private_tasks"
    change = f"drop policy {role.name} on {table}; alter table {table} owner to {role.name}, force row level security"
    await execute(clean_database, change)
    findings = await check_role(engine, role=role.name, as_="adder")
    await execute(clean_database, f"alter table {table} owner to postgres, no force row level security")
    assert findings.missing == ("a policy on _private_tasks",)


@pytest.mark.parametrize("kind", ["reader", "migrator"])
async def test_what_is_not_there(engine: AsyncEngine, role: Role, kind: RoleKind) -> None:
    with pytest.raises(ConfigurationError, match="there is no role 'nobody'"):
        await check_role(engine, role="nobody", as_=kind)
    if kind == "migrator":
        assert (await check_role(engine, role=role.name, as_=kind, schema="x")).missing
    else:
        with pytest.raises(SchemaMissingError, match="there is no Graphile Worker schema 'x'"):
            await check_role(engine, role=role.name, as_=kind, schema="x")


async def test_triggers_that_may_fail_on_a_workers_path(engine: AsyncEngine, clean_database: str, role: Role) -> None:
    """Those whose functions set no path; not PostgreSQL's own, and not those of foreign keys."""
    path = "set search_path = pg_catalog, pg_temp"
    tables = ["create table notes (job_id bigint references graphile_worker._private_jobs)"]
    functions = [
        f"create function {name}() returns trigger language plpgsql {path} as $$ begin return null; end $$"
        for name, path in {"bare": "", "pathed": path}.items()
    ]
    on = "after update on graphile_worker._private_jobs for each row execute function"
    triggers = [f"create trigger t_{name} {on} {name}()" for name in ("bare", "pathed")]
    triggers.append(
        "create trigger t_own before update on graphile_worker._private_jobs for each row "
        "execute function suppress_redundant_updates_trigger()"
    )
    try:
        for statement in (*tables, *functions, *triggers):
            await execute(clean_database, statement)
        for each in (engine, role.engine(clean_database)):
            assert (await check_role(each, as_="worker")).pathless == ("t_bare on _private_jobs, which calls bare()",)
        assert (await check_role(engine, as_="adder")).pathless == ()
    finally:
        await execute(clean_database, "drop function if exists bare, pathed cascade")
        await execute(clean_database, "drop trigger if exists t_own on graphile_worker._private_jobs")
        await execute(clean_database, "drop table if exists notes")
