"""The SQL that gives a role what it needs in the worker schema, and nothing else; it takes nothing away.

The tables have row level security on and, from Graphile Worker, no policy. BYPASSRLS would open every table of the
database, so a role gets a policy of its own, with its name, on each table that it needs: it shows all rows, and the
privileges say what may be done with them. One that is there is left as it is: to make a policy locks the table for
everybody, and somebody may have restricted it.
"""

from __future__ import annotations

from textwrap import indent

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.errors import AccessError, ConfigurationError, SchemaMissingError
from gw_sqla.jobs.argument_checks import check_schema_name
from gw_sqla.schema.ownership import do_block, ownership
from gw_sqla.schema.rights import MIGRATOR, RIGHTS, RoleKind, has_policy
from gw_sqla.schema.role_check import look_at_role
from gw_sqla.statements.quoting import literal, quoted
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["apply_grants", "grants"]

_SETTINGS = ["set local search_path = pg_catalog, pg_temp;", "set local lock_timeout = '5s';"]
"""Nobody's functions but PostgreSQL's; and while the lock for a policy is waited for, all others wait behind it."""

_NOT_THERE = frozenset({"3F000", "42P01", "42883"})


def grants(role: str, *, as_: RoleKind, schema: str = DEFAULT_SCHEMA) -> list[str]:
    """Return the statements that let ``role`` do the work of ``as_`` in the schema, to be run in one transaction.

    By the owner of the schema's tables, or a superuser, once the schema is migrated; for a migrator, by a superuser,
    before or after. They can be run again: after a migration, or when Graphile Worker RS has added its tables.
    Parameters: ``role``, its name, unquoted, of a role that is there; ``as_``, one of adder, reader, worker, admin,
    migrator; ``schema``, the worker schema's name, unquoted. Needs no database.
    Raises ConfigurationError for a name that cannot be a role's or a schema's.
    """
    check_schema_name(schema)
    _check_role_name(role)
    if as_ == MIGRATOR:
        return [*_SETTINGS, *ownership(role, schema)]
    rights, to, inside = RIGHTS[as_], quoted(role), quoted(schema)
    functions = ", ".join(f"{inside}.{function}" for function in rights.functions)
    return [
        *_SETTINGS,
        f"grant usage on schema {inside} to {to};",
        *([f"grant execute on function {functions} to {to};"] if functions else []),
        *(_grant(inside, table, privileges, to) for table, privileges in rights.tables.items()),
        *(_policy(inside, table, role) for table in rights.tables if has_policy(table)),
        *(_if_there(inside, table, privileges, role) for table, privileges in rights.if_there.items()),
    ]


async def apply_grants(engine: AsyncEngine, role: str, *, as_: RoleKind, schema: str = DEFAULT_SCHEMA) -> None:
    """Run `grants`, in one transaction of its own, and look whether the role has all that it needs then.

    Raises AccessError where the engine's role may not grant it (PostgreSQL only warns of that, at times),
    SchemaMissingError where the schema is not there or lacks what is to be granted, ConfigurationError for a role that
    is not there and as `grants`, and database errors as they are: one is that a lock was waited for longer than 5 s.
    All of them, and a cancellation, roll back.
    """
    statements = grants(role, as_=as_, schema=schema)
    await call_asyncio(_apply, engine, statements, role, as_, schema)


async def _apply(engine: AsyncEngine, statements: list[str], role: str, as_: RoleKind, schema: str) -> None:
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="READ COMMITTED")  # not AUTOCOMMIT, whatever the engine has
        async with connection.begin():
            await connection.run_sync(_run, statements, role, as_, schema)


def _run(connection: Connection, statements: list[str], role: str, as_: RoleKind, schema: str) -> None:
    try:
        for statement in statements:
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        message = " ".join(str(getattr(error.orig, "__cause__", None) or error.orig).split())
        if state == "42501":
            raise AccessError(
                f"this role may not grant that in schema {schema!r} ({message}): connect as who owns its tables, or as "
                "a superuser"
            ) from error
        if state in _NOT_THERE:
            raise SchemaMissingError(
                schema, f"schema {schema!r} is not there, or not as gw_sqla makes it ({message}): migrate first"
            ) from error
        if state == "42704":
            raise ConfigurationError(f"role: {role!r} cannot be granted anything: {message}") from error
        raise
    missing = look_at_role(connection, role, as_, schema).missing
    if missing:
        raise AccessError(
            f"role {role!r} would still lack {', '.join(missing)} in schema {schema!r}: connect as who owns its "
            "tables, or as a superuser"
        )


def _grant(inside: str, table: str, privileges: tuple[str, ...], to: str) -> str:
    return f"grant {', '.join(privileges).lower()} on {inside}.{table} to {to};"


def _policy(inside: str, table: str, role: str) -> str:
    to, table_id = quoted(role), f"cast({literal(f'{inside}.{table}')}::pg_catalog.regclass as pg_catalog.oid)"
    missing = f"not exists (select from pg_catalog.pg_policy where polrelid = {table_id} and polname = {literal(role)})"
    return _do_if(missing, f"create policy {to} on {inside}.{table} to {to} using (true) with check (true);")


def _if_there(inside: str, table: str, privileges: tuple[str, ...], role: str) -> str:
    found = f"pg_catalog.to_regclass({literal(f'{inside}.{table}')}) is not null"
    return _do_if(found, f"{_grant(inside, table, privileges, quoted(role))}\n{_policy(inside, table, role)}")


def _do_if(condition: str, statements: str) -> str:
    return do_block(f"begin\n  if {condition} then\n{indent(statements, '    ')}\n  end if;\nend")


def _check_role_name(role: str) -> None:
    if not 1 <= len(role.encode(errors="surrogatepass")) <= 63 or any(ord(c) < 32 or ord(c) == 127 for c in role):
        raise ConfigurationError(f"role: {role!r} cannot be its name: 1 to 63 bytes, and no control characters")
    if role in {"public", "none"}:  # quoted or not
        raise ConfigurationError(f"role: {role!r} is not a role: make one for this work")
