"""What a role lacks for its kind of work in the worker schema, and what it may do beyond.

The catalog says it, which everybody may read.

Rights count wherever they come from: given to the role, to PUBLIC or to a role whose rights it inherits. What owners
may do is beyond for their members too who inherit nothing: they need but ``set role``. Who owns a function has code of
theirs run by all who call it. Rights to single columns, and to execute functions, are not looked at as something
beyond: the latter open nothing by themselves.

A worker's own connections have a search path of PostgreSQL's own objects, and what a trigger on its tables calls
without a schema is looked up there: triggers whose functions set no path are named for it.

Superusers ask this about others, in databases where those may make functions: names are qualified, and types are those
of PostgreSQL's own operators, so that nobody else's is a better match.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.errors import ConfigurationError, SchemaMissingError
from gw_sqla.jobs.argument_checks import check_schema_name
from gw_sqla.schema.rights import MIGRATOR, RIGHTS, Rights, RoleKind
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["RoleFindings", "check_role", "look_at_role"]

_ROLE = sa.text("""
    select
      r.oid, r.rolname, r.rolsuper, r.rolbypassrls, n.oid as namespace,
      pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE') as usage,
      pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE') as creates,
      pg_catalog.pg_has_role(r.oid, n.nspowner, 'MEMBER') as may_own,
      pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'CREATE') as makes_schemas
    from pg_catalog.pg_roles as r
    left join pg_catalog.pg_namespace as n on n.nspname = cast(:schema as pg_catalog.name)
    where r.rolname = coalesce(cast(:role as pg_catalog.name), current_user)
""")

_TABLES = sa.text("""
    select
      c.relname as name,
      pg_catalog.pg_has_role(cast(:role as pg_catalog.oid), c.relowner, 'USAGE') as owned,
      pg_catalog.pg_has_role(cast(:role as pg_catalog.oid), c.relowner, 'MEMBER') as may_own,
      array(
        select privilege
        from pg_catalog.unnest(array[
          'SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER',
          case when cast(pg_catalog.current_setting('server_version_num') as integer) >= 170000 then 'MAINTAIN' end
        ]) as privilege
        where pg_catalog.has_table_privilege(cast(:role as pg_catalog.oid), c.oid, privilege)
      ) as held,
      c.relrowsecurity
      and (c.relforcerowsecurity or not pg_catalog.pg_has_role(cast(:role as pg_catalog.oid), c.relowner, 'USAGE'))
      and not exists (
        select from pg_catalog.pg_policy as p, pg_catalog.unnest(p.polroles) as named
        where
          p.polrelid = c.oid and p.polpermissive
          and (
            named = cast(0 as pg_catalog.oid)
            or pg_catalog.pg_has_role(cast(:role as pg_catalog.oid), named, 'USAGE')
          )
      ) as hidden
    from pg_catalog.pg_class as c
    where c.relnamespace = cast(:namespace as pg_catalog.oid) and c.relkind in ('r', 'v')
      and cast(c.relname as pg_catalog.text) ~ '^(migrations$|jobs$|_private_)'
    order by c.relname
""")

_FUNCTIONS = sa.text("""
    select
      proname as name,
      pg_catalog.bool_and(pg_catalog.has_function_privilege(cast(:role as pg_catalog.oid), oid, 'EXECUTE')) as executes,
      pg_catalog.bool_and(pg_catalog.pg_has_role(cast(:role as pg_catalog.oid), proowner, 'USAGE')) as owned,
      pg_catalog.bool_or(pg_catalog.pg_has_role(cast(:role as pg_catalog.oid), proowner, 'MEMBER')) as may_own
    from pg_catalog.pg_proc
    where pronamespace = cast(:namespace as pg_catalog.oid)
    group by proname
    order by proname
""")

_TRIGGERS = sa.text("""
    select
      t.tgname as name,
      c.relname as table,
      cast(cast(p.oid as pg_catalog.regprocedure) as pg_catalog.text) as function
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_class as c on c.oid = t.tgrelid
    join pg_catalog.pg_proc as p on p.oid = t.tgfoid
    where
      c.relnamespace = cast(:namespace as pg_catalog.oid)
      and cast(c.relname as pg_catalog.text) ~ '^(migrations$|_private_)'
      and not t.tgisinternal
      and p.pronamespace <> cast(cast('pg_catalog' as pg_catalog.regnamespace) as pg_catalog.oid)
      and not exists (
        select from pg_catalog.unnest(p.proconfig) as setting where pg_catalog.starts_with(setting, 'search_path=')
      )
    order by c.relname, t.tgname
""")


@dataclass(frozen=True, slots=True)
class RoleFindings:
    """What a look at a role found; each item names a right in words, such as ``DELETE on _private_jobs``.

    ``pathless``: of a worker, the triggers on its tables whose functions set no search path, such as ``audit on
    _private_jobs, which calls note()``.
    """

    role: str
    missing: tuple[str, ...]
    beyond: tuple[str, ...]
    pathless: tuple[str, ...] = ()


async def check_role(
    engine: AsyncEngine, *, as_: RoleKind, role: str | None = None, schema: str = DEFAULT_SCHEMA
) -> RoleFindings:
    """Look what ``role`` lacks to work as ``as_`` in the schema, and what it may do beyond; changes nothing.

    Parameters: ``as_``, one of adder, reader, worker, admin, migrator; ``role``, its name, unquoted, or None for the
    engine's own; ``schema``, the worker schema's name, unquoted.
    Raises SchemaMissingError (but not for a migrator, who may be about to make it), ConfigurationError for a role that
    is not there or an impossible schema name, database errors as they are. A cancellation gives the connection back.
    """
    check_schema_name(schema)
    return await call_asyncio(_look, engine, role, as_, schema)


async def _look(engine: AsyncEngine, role: str | None, as_: RoleKind, schema: str) -> RoleFindings:
    async with engine.connect() as connection:
        return await connection.run_sync(look_at_role, role, as_, schema)


def look_at_role(connection: sa.Connection, role: str | None, as_: RoleKind, schema: str) -> RoleFindings:
    """The same over one connection, in its transaction."""
    seen = connection.execute(_ROLE, {"role": role, "schema": schema}).one_or_none()
    if seen is None:
        raise ConfigurationError(f"role: there is no role {role!r} in this database server")
    place = {"role": seen.oid, "namespace": seen.namespace}
    tables = connection.execute(_TABLES, place).all()
    functions = connection.execute(_FUNCTIONS, place).all()
    if as_ != MIGRATOR and "migrations" not in {table.name for table in tables}:
        raise SchemaMissingError(schema, f"there is no Graphile Worker schema {schema!r} in this database")
    triggers = connection.execute(_TRIGGERS, place).all() if as_ == "worker" else []
    pathless = tuple(f"{each.name} on {each.table}, which calls {each.function}" for each in triggers)
    if seen.rolsuper:
        return RoleFindings(seen.rolname, (), ("SUPERUSER: nothing is refused to it, in any database",), pathless)
    missing: list[str] = []
    beyond = ["BYPASSRLS, which opens every table of the database"] if seen.rolbypassrls else []
    if as_ == MIGRATOR:
        missing = _missing_of_migrator(seen, [*tables, *functions])
    else:
        missing = _missing(seen, RIGHTS[as_], tables, functions)
        beyond += _beyond(seen, RIGHTS[as_], tables, functions)
    return RoleFindings(seen.rolname, tuple(missing), tuple(beyond), pathless)


def _missing_of_migrator(seen: Any, objects: list[Any]) -> list[str]:
    if seen.namespace is None:
        return [] if seen.makes_schemas else ["the schema, or CREATE on the database"]
    held = {"USAGE on the schema": seen.usage, "CREATE on the schema": seen.creates}
    held |= {f"ownership of {each.name}": each.owned for each in objects}
    return [right for right, is_held in held.items() if not is_held]


def _missing(seen: Any, rights: Rights, tables: Any, functions: Any) -> list[str]:
    held = {table.name: table.held for table in tables}
    needed = {**rights.tables, **{name: what for name, what in rights.if_there.items() if name in held}}
    executes = {function.name for function in functions if function.executes}
    hidden = {table.name for table in tables if table.hidden and not seen.rolbypassrls}
    return [
        *([] if seen.usage else ["USAGE on the schema"]),
        *(f"{right} on {name}" for name, what in needed.items() for right in what if right not in held.get(name, ())),
        *(f"EXECUTE on {name}" for name in rights.functions if name not in executes),
        *(f"a policy on {name}" for name in needed if name in hidden),
    ]


def _beyond(seen: Any, rights: Rights, tables: Any, functions: Any) -> list[str]:
    needed = {**rights.tables, **rights.if_there}
    found = ["CREATE on the schema"] if seen.creates else []
    found += ["ownership of the schema"] if seen.may_own else []
    for table in tables:
        if table.may_own:
            found.append(f"ownership of {table.name}")
        else:
            found += [f"{right} on {table.name}" for right in table.held if right not in needed.get(table.name, ())]
    return found + [f"ownership of {function.name}" for function in functions if function.may_own]
