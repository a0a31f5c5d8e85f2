"""Objects that others could make, to be called in place of PostgreSQL's own: none may ever be.

`plant` makes functions, aggregates and operators in a schema, with the names that stand in our SQL, for all types
that it could meet; `plant_temporary` makes types and views in a session's temporary schema. Whatever is called leaves
its number in a sequence, which no rollback takes back: `called` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import asyncpg

__all__ = ["called", "plant", "plant_temporary", "silence", "watch"]

_TYPES = """text varchar name json jsonb int2 int4 int8 float4 float8 numeric bool timestamptz interval oid regclass
text[] varchar[] int2[] int4[] int8[] float8[] bool[] timestamptz[]"""
_SCHEMA_TYPES = "job_spec job_spec[] _private_jobs _private_jobs[]"
_WIDE = {3: "text name oid bool int4", 4: "text float8 int4 int8", 5: "text float4"}
"""Types of the longer lists of arguments: all of all would be millions."""
_OPERATORS = "= <> < <= > >= + - * / || -> ->> ?| ~ !~"
_AGGREGATES = frozenset({"array_agg", "bool_and", "count", "jsonb_object_agg", "max", "sum"})
_TEMPORARY_TYPES = "text name json jsonb timestamptz oid regclass int2 int4 int8 float8 bool interval void trigger"
_TEMPORARY_VIEWS = "pg_attribute pg_class pg_namespace pg_policy pg_proc pg_roles pg_stat_activity pg_trigger"


async def watch(db: asyncpg.Connection) -> None:
    """Make what the hostile objects report to."""
    await db.execute(
        """create schema watch;
create sequence watch.alarm;
create table watch.planted (id int primary key, what pg_catalog.text);
create function watch.call(int) returns boolean language plpgsql volatile
as 'begin perform pg_catalog.setval(''watch.alarm'', $1); return true; end';
grant usage on schema watch to public;
grant select on watch.planted to public;
grant all on sequence watch.alarm to public"""
    )


async def called(db: asyncpg.Connection) -> str | None:
    """Say what was called, the last of all; None where nothing was."""
    number = await db.fetchval("select last_value from watch.alarm where is_called")
    if number is None:
        return None
    return str(await db.fetchval("select what from watch.planted where id = $1", number) or number)


async def plant(db: asyncpg.Connection, place: str, functions: Iterable[str], *, worker_schema: bool) -> None:
    """Make the functions and operators in ``place``; the types of the worker schema too, where it is there.

    Of the functions those that PostgreSQL has, with as many arguments as there.
    """
    types = [*(f"pg_catalog.{name}" for name in _TYPES.split())]
    types += [f"graphile_worker.{name}" for name in _SCHEMA_TYPES.split()] if worker_schema else []
    arities = await db.fetch(
        "select proname, provariadic <> 0 as variadic, pg_catalog.array_agg(distinct pronargs::int) as counts, "
        "pg_catalog.min(prorettype::regtype::text) filter (where prorettype::regtype::text !~ '^any') as result "
        "from pg_catalog.pg_proc where pronamespace = 'pg_catalog'::regnamespace and proname::text = any ($1::text[]) "
        "group by 1, 2",
        sorted(functions),
    )
    wanted: dict[str, set[int]] = {}
    results: dict[str, str | None] = {}
    for row in arities:
        wanted.setdefault(row["proname"], set()).update(row["counts"], (1, 2, 3, 4, 5) if row["variadic"] else ())
        results[row["proname"]] = row["result"]
    statements: list[str] = []
    for name, counts in wanted.items():
        for count in counts:
            for arguments in product(*[_types_for(count, types)] * count):
                statements += _function(place, name, arguments, results[name], len(statements))
    for operator in _OPERATORS.split():
        for left, right in product(types, types):
            statements += _operator(place, operator, left, right, len(statements))
    await db.execute(f"set check_function_bodies = off; create schema if not exists {place}")
    async with db.transaction():
        for start in range(0, len(statements), 500):
            await db.execute(";\n".join(statements[start : start + 500]))
    await db.execute(f"grant usage on schema {place} to public")


def _types_for(count: int, types: list[str]) -> list[str]:
    return types if count <= 2 else [f"pg_catalog.{name}" for name in _WIDE.get(count, "text").split()]


def _function(place: str, name: str, arguments: tuple[str, ...], result: str | None, number: int) -> list[str]:
    """``result``: the type of what PostgreSQL's returns, None where that depends on the arguments."""
    listed = ", ".join(arguments)
    result = result or (arguments[0].removesuffix("[]") if arguments else "pg_catalog.text")
    planted = f"insert into watch.planted values ({number}, '{place}.{name}({listed})')"
    if name not in _AGGREGATES:
        return [planted, _made(place, name, listed, result, number)]
    if not arguments:
        return []
    step = _made(place, f"step_{number}", f"pg_catalog.bool, {listed}", "pg_catalog.bool", number)
    aggregate = f"create aggregate {place}.{name}({listed}) (sfunc = {place}.step_{number}, stype = pg_catalog.bool)"
    return [planted, step, aggregate]


def _operator(place: str, operator: str, left: str, right: str, number: int) -> list[str]:
    result = {"||": left, "->": left, "->>": "pg_catalog.text"}.get(operator, "pg_catalog.bool")
    result = left if operator in "+-*/" else result
    function = f"op_{number}"
    return [
        f"insert into watch.planted values ({number}, '{place}: {left} {operator} {right}')",
        _made(place, function, f"{left}, {right}", result, number),
        f"create operator {place}.{operator} (leftarg = {left}, rightarg = {right}, function = {place}.{function})",
    ]


def _made(place: str, name: str, arguments: str, result: str, number: int) -> str:
    body = f"begin perform watch.call({number}); return null; end"
    return f"create function {place}.{name}({arguments}) returns {result} language plpgsql as '{body}'"


async def plant_temporary(db: asyncpg.Connection) -> None:
    """Make types and views in the session's temporary schema, which for both is the first place to look."""
    for number, name in enumerate(_TEMPORARY_TYPES.split(), 100_000):
        base = "text" if name in {"void", "trigger"} else name
        await db.execute(
            f"create domain pg_temp.{name} as pg_catalog.{base} "
            f"constraint temporary_{name} check (watch.call({number}))"
        )
    for number, name in enumerate(_TEMPORARY_VIEWS.split(), 200_000):
        columns = "attrelid, attname, attisdropped" if name == "pg_attribute" else "v.*"  # one cannot be a view's
        await db.execute(
            f"create temporary view {name} as select {columns} from pg_catalog.{name} v where watch.call({number})"
        )


async def silence(db: asyncpg.Connection) -> None:
    """Forget what was called."""
    await db.execute("select pg_catalog.setval('watch.alarm', 1, false)")
