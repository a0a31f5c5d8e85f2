"""Least rights: with what `grants` prints each kind of role can do its work; without any one of it, it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from sqlalchemy import NullPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import AsyncSession, JobRepository, async_sessionmaker
from gw_sqla.errors import AccessError, ConfigurationError, SchemaMissingError
from gw_sqla.schema.check import check_schema
from gw_sqla.schema.grants import apply_grants, grants
from gw_sqla.schema.migrations import migrate
from gw_sqla.schema.rights import RIGHTS, RoleKind, has_policy
from gw_sqla.schema.role_check import check_role
from gw_sqla.schema.supported_revisions import VERSION_TABLE
from gw_sqla.statements.quoting import quoted
from tests.schema.peer import make_peers
from tests.schema.role_work import WORK
from tests.schema.roles import Role, temporary_role
from tests.support.server import Server, connect, execute

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

KINDS: list[RoleKind] = list(RIGHTS)
TABLES = sorted({name for rights in RIGHTS.values() for name in rights.tables} - {"jobs"})
LEDGERS = {"migrations", VERSION_TABLE}
"""A worker reads them when it starts; its other statements need neither."""
RUSTS = {"_private_workers", "_private_job_retirements"}
REFUSED = (DBAPIError, asyncpg.PostgresError, AccessError, AssertionError)
KEYS = {
    "_private_known_crontabs": "identifier",
    "_private_sqla_workers": "pool_id",
    "_private_sqla_snoozes": "job_id",
    "_private_sqla_pauses": "kind",
    "_private_sqla_upkeep": "work",
}
EVERYBODYS = "grant execute on all functions in schema graphile_worker to public"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def role(server: Server, request: pytest.FixtureRequest) -> Iterator[Role]:
    """A role without rights, in the module's database or in the test's own."""
    database = "migrated_database" if "migrated_database" in request.fixturenames else "clean_database"
    with temporary_role(server, request.getfixturevalue(database)) as made:
        yield made


@pytest.fixture
def other(server: Server, clean_database: str) -> Iterator[Role]:
    """Another."""
    with temporary_role(server, clean_database) as made:
        yield made


@pytest.fixture
async def hardened(clean_database: str) -> AsyncIterator[None]:
    """Functions are not everybody's to execute."""
    await execute(clean_database, EVERYBODYS.replace("grant", "revoke").replace(" to ", " from "))
    yield
    await execute(clean_database, EVERYBODYS)


async def do_work(kind: RoleKind, role: Role, url: str, sessions: Sessions) -> None:
    engine = role.engine(url)
    try:
        await WORK[kind](engine, sessions)
        if kind == "worker":
            await check_schema(engine)
    finally:
        await engine.dispose()


def needed_of_ours(kind: RoleKind) -> dict[str, tuple[str, ...]]:
    rights = RIGHTS[kind]
    return {**rights.tables, **{name: held for name, held in rights.if_there.items() if name not in RUSTS}}


def each_right(kind: RoleKind) -> Iterator[str]:
    """Yield the statements that take one right away each."""
    rights = RIGHTS[kind]
    yield "revoke usage on schema graphile_worker from ROLE"
    for function in rights.functions:
        yield f"revoke execute on function graphile_worker.{function} from ROLE"
    for table, privileges in needed_of_ours(kind).items():
        for privilege in privileges:
            yield f"revoke {privilege} on graphile_worker.{table} from ROLE"
        if has_policy(table):
            yield f"drop policy ROLE on graphile_worker.{table}"


@pytest.mark.parametrize("kind", KINDS)
async def test_enough(
    engine: AsyncEngine, clean_database: str, sessions: Sessions, role: Role, hardened: None, kind: RoleKind
) -> None:
    await apply_grants(engine, role.name, as_=kind)
    await apply_grants(engine, role.name, as_=kind)
    await do_work(kind, role, clean_database, sessions)
    findings = await check_role(engine, role=role.name, as_=kind)
    assert (findings.role, findings.missing, findings.beyond) == (role.name, (), ())


@pytest.mark.parametrize(("kind", "taken"), [(kind, taken) for kind in KINDS for taken in each_right(kind)])
async def test_not_one_too_many(
    engine: AsyncEngine,
    clean_database: str,
    sessions: Sessions,
    role: Role,
    hardened: None,
    kind: RoleKind,
    taken: str,
) -> None:
    await apply_grants(engine, role.name, as_=kind)
    await execute(clean_database, taken.replace("ROLE", role.name))
    own = role.engine(clean_database)
    with pytest.raises(REFUSED):
        await (check_schema(own) if any(name in taken for name in LEDGERS) else WORK[kind](own, sessions))
    assert len((await check_role(engine, role=role.name, as_=kind)).missing) == 1
    await own.dispose()


@pytest.mark.parametrize("kind", KINDS)
async def test_everything_else_is_refused(engine: AsyncEngine, clean_database: str, role: Role, kind: RoleKind) -> None:
    await apply_grants(engine, role.name, as_=kind)
    rights = needed_of_ours(kind)
    attempts = ["create table graphile_worker.mine ()", "drop schema graphile_worker cascade"]
    for table in TABLES:
        name, held = f"graphile_worker.{table}", rights.get(table, ())
        column = KEYS.get(table, "id")
        verbs = {
            "SELECT": f"select from {name}",
            "INSERT": f"insert into {name} default values",
            "UPDATE": f"update {name} set {'version_num' if table == VERSION_TABLE else column} = default",
            "DELETE": f"delete from {name}",
        }
        attempts += [sql for verb, sql in verbs.items() if verb not in held]
        attempts += [f"truncate {name}", f"create index on {name} (({column}))", f"alter table {name} add mine int"]
    attempts += [] if "jobs" in rights else ["select from graphile_worker.jobs"]
    if kind in {"adder", "reader"}:
        for call in ("complete_jobs('{1}')", "remove_job('k')", "force_unlock_workers('{w}')"):
            attempts.append(f"select graphile_worker.{call}")
    await execute(clean_database, "select graphile_worker.add_job('a', job_key := 'k', queue_name := 'q')")
    connection = await connect(clean_database)
    await connection.execute(f"set role {role.name}")
    for attempt in attempts:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(attempt)
    await connection.close()


async def test_a_role_that_may_only_call_a_function(
    engine: AsyncEngine, clean_database: str, role: Role, other: Role, sessions: Sessions
) -> None:
    """The function's owner is an adder, and nobody who logs in."""
    await apply_grants(engine, other.name, as_="adder")
    await execute(
        clean_database,
        f"""create schema api;
        create function api.send(address text) returns bigint
        language sql security definer set search_path = pg_catalog, pg_temp as $$
          select id from graphile_worker.add_job('send', json_build_object('to', address), job_key := address)
        $$;
        alter function api.send owner to {other.name};
        revoke execute on function api.send from public;
        grant usage on schema api to {role.name};
        grant execute on function api.send to {role.name};""",
    )
    connection = await connect(clean_database)
    await connection.execute(f"set role {role.name}")
    added = await connection.fetchval("select api.send('ada')")
    assert await connection.fetchval("select api.send('ada')") == added
    for attempt in ("graphile_worker.add_job('send')", "graphile_worker._private_jobs", "graphile_worker.jobs"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"select * from {attempt}")
    await connection.close()
    async with sessions() as session:
        assert [job.id for job in await JobRepository().list_jobs(session)] == [added]
    await execute(clean_database, "drop schema api cascade")


@pytest.mark.parametrize("name", ['we"ird', "it's \\\\ :x", "$body$ $body_$", "%(a)s %s", "é" * 31])
@pytest.mark.parametrize("kind", ["worker", "migrator"])
def test_any_name_of_role_and_schema(server: Server, name: str, kind: RoleKind) -> None:
    url, schema = server.create_database(), name.replace("%(", "%")
    server.execute(f"create role {quoted(name)}")

    async def grant() -> None:
        engine = create_async_engine(url, poolclass=NullPool)
        await migrate(engine, schema=schema)
        await apply_grants(engine, name, as_=kind, schema=schema)
        await execute(url, "\n".join(["begin;", *grants(name, as_=kind, schema=schema), "commit;"]))
        assert (await check_role(engine, role=name, as_=kind, schema=schema)).missing == ()
        await execute(url, f"drop owned by {quoted(name)} cascade")

    try:
        asyncio.run(grant())
    finally:
        server.drop_database(url)
        server.execute(f"drop role {quoted(name)}")


async def test_names_that_cannot_be() -> None:
    for name in ("public", "none", "", "é" * 32, "a\nb"):
        with pytest.raises(ConfigurationError, match="role: "):
            grants(name, as_="adder")
    with pytest.raises(ConfigurationError, match="schema: "):
        grants("a", as_="adder", schema="")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_peers_schema_that_is_not_adopted(
    migrated_engine: AsyncEngine, migrated_database: str, role: Role, kind: RoleKind
) -> None:
    """Whoever only adds, reads or administers can do so; the schema of workers, and who cleans up, must be migrated."""
    connection = await connect(migrated_database)
    await make_peers(connection)
    await connection.close()
    if kind in {"worker", "cleaner"}:
        with pytest.raises(SchemaMissingError, match="migrate first"):
            await apply_grants(migrated_engine, role.name, as_=kind)
    else:
        await apply_grants(migrated_engine, role.name, as_=kind)
        assert (await check_role(migrated_engine, role=role.name, as_=kind)).missing == ()


RUST = """create table graphile_worker._private_workers (
  id text primary key, last_heartbeat_at timestamptz not null, started_at timestamptz not null, metadata jsonb);
create table graphile_worker._private_job_retirements (
  id bigint primary key references graphile_worker._private_jobs on delete cascade);
alter table graphile_worker._private_workers enable row level security;
alter table graphile_worker._private_job_retirements enable row level security"""
MARK = "insert into graphile_worker._private_job_retirements select 1 where false on conflict do nothing"
CLEAR = "delete from graphile_worker._private_job_retirements r using graphile_worker._private_jobs j where r.id = j.id"


@pytest.mark.parametrize(
    ("kind", "statements"), [("adder", [MARK]), ("worker", [MARK]), ("admin", [MARK, CLEAR]), ("reader", [])]
)
async def test_beside_graphile_worker_rs(
    migrated_engine: AsyncEngine,
    migrated_database: str,
    role: Role,
    kind: RoleKind,
    statements: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its tables, which it makes when it likes; what is run here is what its functions do with them."""
    sessions = async_sessionmaker(migrated_engine, expire_on_commit=False)
    await apply_grants(migrated_engine, role.name, as_=kind)
    await execute(migrated_database, RUST)
    missing = (await check_role(migrated_engine, role=role.name, as_=kind)).missing
    assert all(f"a policy on {name}" in missing for name in RUSTS.intersection(RIGHTS[kind].if_there))
    await apply_grants(migrated_engine, role.name, as_=kind)
    assert (await check_role(migrated_engine, role=role.name, as_=kind)).missing == ()
    await do_work(kind, role, migrated_database, sessions)
    assert caplog.text == ""
    async with role.engine(migrated_database).begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def test_granted_by_who_may_not(engine: AsyncEngine, clean_database: str, role: Role, other: Role) -> None:
    own = role.engine(clean_database)
    refused = "connect as who owns its tables, or as a superuser"
    lacking = (await check_role(engine, role=other.name, as_="reader")).missing
    assert "USAGE on the schema" in lacking
    with pytest.raises(AccessError, match=f"permission denied.*{refused}"):
        await apply_grants(own, other.name, as_="reader")
    rights = ("usage on schema graphile_worker", "select on all tables in schema graphile_worker")
    for right in rights:
        await execute(clean_database, f"grant {right} to {role.name} with grant option")
    with pytest.raises(AccessError, match=refused):
        await apply_grants(own, other.name, as_="reader")
    assert (await check_role(engine, role=other.name, as_="reader")).missing == lacking


async def test_a_role_or_a_schema_that_is_not_there(engine: AsyncEngine, role: Role) -> None:
    with pytest.raises(ConfigurationError, match='role "nobody" does not exist'):
        await apply_grants(engine, "nobody", as_="adder")
    with pytest.raises(SchemaMissingError):
        await apply_grants(engine, role.name, as_="adder", schema="elsewhere")


async def test_a_lock_is_not_waited_for_long(engine: AsyncEngine, clean_database: str, role: Role) -> None:
    """All others would wait behind it. A second time nothing is locked."""
    connection = await connect(clean_database)
    await connection.execute("begin; lock table graphile_worker._private_jobs in access share mode")
    with pytest.raises(DBAPIError, match="lock timeout"):
        await apply_grants(engine, role.name, as_="adder")
    await connection.execute("rollback")
    await apply_grants(engine, role.name, as_="adder")
    await connection.execute("begin; lock table graphile_worker._private_jobs in access share mode")
    await apply_grants(engine, role.name, as_="adder")
    await connection.close()
