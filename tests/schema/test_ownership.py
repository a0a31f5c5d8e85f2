"""The migrator: owns what is in the schema, and nothing else."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.errors import AccessError
from gw_sqla.schema.grants import apply_grants, grants
from gw_sqla.schema.migrations import downgrade, migrate
from gw_sqla.schema.role_check import check_role
from tests.schema.roles import Role
from tests.support.server import connect, execute

pytestmark = pytest.mark.anyio

OTHERS = """select n.nspname || '.' || o.name from (
  select relnamespace as namespace, relname as name, relowner as owner from pg_class
  union all select pronamespace, proname, proowner from pg_proc
  union all select typnamespace, typname, typowner from pg_type
  union all select oid, '', nspowner from pg_namespace
) o join pg_namespace n on n.oid = o.namespace
where n.nspname <> 'pg_toast' and (n.nspname = 'graphile_worker') <> (pg_get_userbyid(o.owner) = $1)"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def owned_by_others(url: str, role: Role) -> list[str]:
    """Return what the role does not own in the schema, and what it owns elsewhere."""
    connection = await connect(url)
    try:
        return [row[0] for row in await connection.fetch(OTHERS, role.name)]
    finally:
        await connection.close()


async def test_a_schema_that_is_not_there(empty_engine: AsyncEngine, empty_database: str, role: Role) -> None:
    own = role.engine(empty_database)
    assert (await check_role(own, as_="migrator")).missing == ("the schema, or CREATE on the database",)
    await apply_grants(empty_engine, role.name, as_="migrator")
    assert (await check_role(own, as_="migrator")).missing == ()
    assert (await migrate(own)).action == "created"
    assert await owned_by_others(empty_database, role) == []
    with pytest.raises(DBAPIError, match="permission denied for database"):
        async with own.begin() as connection:
            await connection.exec_driver_sql("create schema another")
    assert (await downgrade(own)).after is None


async def test_a_schema_that_others_have_made(migrated_engine: AsyncEngine, migrated_database: str, role: Role) -> None:
    own = role.engine(migrated_database)
    await downgrade(migrated_engine, revision="0001")
    with pytest.raises(AccessError, match=f"have a superuser run: .* grants {role.name} --as migrator --apply"):
        await migrate(own)
    missing = (await check_role(own, as_="migrator")).missing
    assert {"CREATE on the schema", "ownership of _private_jobs", "ownership of add_job"} <= set(missing)
    for _ in range(2):
        await apply_grants(migrated_engine, role.name, as_="migrator")
        assert await owned_by_others(migrated_database, role) == []
    assert (await migrate(own)).action == "upgraded"
    assert (await downgrade(own)).after is None
    assert await owned_by_others(migrated_database, role) == []


@pytest.mark.parametrize(
    ("taken", "missing", "refusal"),
    [
        ("alter table graphile_worker._private_jobs owner to postgres", "_private_jobs", "must be owner of table"),
        ("alter function graphile_worker.add_jobs owner to postgres", "add_jobs", "must be owner of function"),
    ],
)
async def test_each_ownership_is_needed(
    migrated_engine: AsyncEngine, migrated_database: str, role: Role, taken: str, missing: str, refusal: str
) -> None:
    await downgrade(migrated_engine, revision="0001")
    await apply_grants(migrated_engine, role.name, as_="migrator")
    await execute(migrated_database, taken)
    assert f"ownership of {missing}" in (await check_role(migrated_engine, role=role.name, as_="migrator")).missing
    everything = f"grant all on all tables in schema graphile_worker to {role.name}; "
    if missing == "_private_jobs":  # its rows are seen, its index is not made
        everything += "alter table graphile_worker._private_jobs disable row level security"
    await execute(migrated_database, everything)
    with pytest.raises(AccessError, match=refusal):
        await migrate(role.engine(migrated_database))


@pytest.mark.parametrize("left_out", ["create schema", "grant usage, create"])
async def test_each_statement_is_needed(
    empty_engine: AsyncEngine, empty_database: str, role: Role, left_out: str
) -> None:
    """The first where there is no schema, the second where somebody else's is empty."""
    if left_out == "grant usage, create":
        await execute(empty_database, "create schema graphile_worker")
    statements = grants(role.name, as_="migrator")
    fewer = [each for each in statements if not each.startswith(left_out)]
    assert len(fewer) == len(statements) - 1
    without = fewer if left_out.startswith("grant") else fewer[:2]
    await execute(empty_database, "\n".join(without))
    with pytest.raises(AccessError):
        await migrate(role.engine(empty_database))
    await execute(empty_database, "\n".join(statements))
    assert (await migrate(role.engine(empty_database))).action == "created"


async def test_tables_of_others_in_the_schema(migrated_engine: AsyncEngine, migrated_database: str, role: Role) -> None:
    await execute(migrated_database, "create table graphile_worker.orders ()")
    with pytest.raises(DBAPIError, match="tables of others in the schema"):
        await apply_grants(migrated_engine, role.name, as_="migrator")
