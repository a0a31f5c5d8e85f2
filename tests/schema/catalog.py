"""Reads a schema back from PostgreSQL's catalogs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import asyncpg

from gw_sqla.statements.quoting import quoted
from tests.support.server import connect


class Column(NamedTuple):
    name: str
    type: str
    not_null: bool = False
    default: str | None = None
    identity: str = ""
    generated: str = ""


class Function(NamedTuple):
    arguments: str
    result: str
    strict: bool = False
    volatility: str = "v"
    security_definer: bool = False


@dataclass
class Catalog:
    """Everything in a schema; names map to what the catalogs say, without the schema's name where possible."""

    relations: dict[str, str] = field(default_factory=dict)
    columns: dict[str, list[Column]] = field(default_factory=dict)
    constraints: dict[str, dict[str, str]] = field(default_factory=dict)
    indexes: dict[str, str] = field(default_factory=dict)
    sequences: dict[str, tuple[str, str]] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    row_security: set[str] = field(default_factory=set)
    ledger: dict[int, bool] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    """Triggers, policies, rules, view options and types of other kinds: there are none."""

    def __or__(self, other: Catalog) -> Catalog:
        """Return the objects of both."""
        return Catalog(
            relations=self.relations | other.relations,
            columns=self.columns | other.columns,
            constraints=self.constraints | other.constraints,
            indexes=self.indexes | other.indexes,
            sequences=self.sequences | other.sequences,
            functions=self.functions | other.functions,
            row_security=self.row_security | other.row_security,
            ledger=self.ledger | other.ledger,
            others=self.others + other.others,
        )

    def named(self, shown: str) -> Catalog:
        """Put ``shown``, the schema's name as PostgreSQL prints it, in the places that name the schema."""
        return Catalog(
            **{
                **vars(self),
                "indexes": {name: text.replace("{s}", shown) for name, text in self.indexes.items()},
                "functions": {
                    name: function._replace(
                        arguments=function.arguments.replace("{s}", shown), result=function.result.replace("{s}", shown)
                    )
                    for name, function in self.functions.items()
                },
            }
        )


async def expected(connection: asyncpg.Connection, schema: str, *parts: Catalog) -> Catalog:
    """Put the parts together, with the schema's name as this server prints it."""
    whole = Catalog()
    for part in parts:
        whole |= part
    return whole.named(await connection.fetchval("select quote_ident($1)", schema))


async def read(connection: asyncpg.Connection, schema: str) -> Catalog:
    """Read what is in the schema, as one consistent look."""
    async with connection.transaction(isolation="repeatable_read"):
        await connection.execute("set local search_path = ''")

        async def rows(sql: str) -> list[asyncpg.Record]:
            return await connection.fetch(sql, schema)

        catalog = Catalog(
            relations={r["relname"]: _char(r["relkind"]) for r in await rows(_RELATIONS)},
            constraints=_grouped((r["relname"], r["conname"], r["definition"]) for r in await rows(_CONSTRAINTS)),
            indexes={r["relname"]: r["definition"] for r in await rows(_INDEXES)},
            sequences={r["relname"]: (r["type"], r["owner"]) for r in await rows(_SEQUENCES)},
            row_security={r["relname"] for r in await rows(_ROW_SECURITY)},
            others=[r["what"] for r in await rows(_OTHERS)],
        )
        for r in await rows(_COLUMNS):
            column = Column(
                r["name"], r["type"], r["not_null"], r["default"], _char(r["identity"]), _char(r["generated"])
            )
            catalog.columns.setdefault(r["relname"], []).append(column)
        for r in await rows(_FUNCTIONS):
            assert r["proname"] not in catalog.functions, "overloaded"
            catalog.functions[r["proname"]] = Function(
                r["arguments"], r["result"], r["strict"], _char(r["volatility"]), r["definer"]
            )
        if "migrations" in catalog.relations:
            ledger = await connection.fetch(f"select id, breaking from {quoted(schema)}.migrations order by id")
            catalog.ledger = {r["id"]: r["breaking"] for r in ledger}
        return catalog


def _char(value: bytes | str) -> str:
    return (value.decode() if isinstance(value, bytes) else value).strip("\0")


def _grouped(rows: Iterable[tuple[str, str, str]]) -> dict[str, dict[str, str]]:
    groups: dict[str, dict[str, str]] = {}
    for group, name, value in rows:
        groups.setdefault(group, {})[name] = value
    return groups


_HERE = "join pg_catalog.pg_namespace n on n.nspname = $1 and n.oid ="

_RELATIONS = f"select relname, relkind from pg_class {_HERE} relnamespace where relkind <> 'i'"

_COLUMNS = f"""
    select relname, attname as name, format_type(atttypid, atttypmod) as type, attnotnull as not_null,
      pg_get_expr(adbin, adrelid) as default, attidentity as identity, attgenerated as generated
    from pg_attribute a
    join pg_class c on c.oid = attrelid {_HERE} relnamespace
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where attnum > 0 and not attisdropped and relkind not in ('i', 'S')
    order by relname, attnum
"""

# PostgreSQL 18 lists not-null constraints too; they are among the columns.
_CONSTRAINTS = f"""
    select relname, conname, pg_get_constraintdef(con.oid) as definition
    from pg_constraint con join pg_class c on c.oid = conrelid {_HERE} relnamespace
    where contype <> 'n'
"""

_INDEXES = f"""
    select relname, pg_get_indexdef(c.oid) as definition from pg_class c {_HERE} relnamespace where relkind = 'i'
"""

_SEQUENCES = f"""
    select c.relname, format_type(seqtypid, null) as type, t.relname || '.' || attname as owner
    from pg_class c {_HERE} c.relnamespace
    join pg_sequence on seqrelid = c.oid
    join pg_depend d on d.objid = c.oid and d.deptype = 'i' and d.classid = 'pg_class'::regclass
    join pg_class t on t.oid = d.refobjid
    join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
"""

_FUNCTIONS = f"""
    select proname, pg_get_function_arguments(p.oid) as arguments, pg_get_function_result(p.oid) as result,
      proisstrict as strict, provolatile as volatility, prosecdef as definer
    from pg_proc p {_HERE} pronamespace
"""

_ROW_SECURITY = f"select relname from pg_class {_HERE} relnamespace where relrowsecurity or relforcerowsecurity"

_OTHERS = f"""
    select 'trigger ' || tgname as what from pg_trigger join pg_class c on c.oid = tgrelid {_HERE} relnamespace
    union all
    select 'policy ' || polname from pg_policy join pg_class c on c.oid = polrelid {_HERE} relnamespace
    union all
    select 'rule ' || rulename from pg_rewrite join pg_class c on c.oid = ev_class {_HERE} relnamespace
    where rulename <> '_RETURN'
    union all
    select 'option ' || option from pg_class {_HERE} relnamespace, unnest(reloptions) option
    union all
    select 'type ' || typname from pg_type {_HERE} typnamespace where typtype not in ('c', 'b')
"""


async def read_at(url: str, schema: str = "graphile_worker") -> Catalog:
    """Read the schema over a connection of its own; an asyncio function, see `call_asyncio`."""
    connection = await connect(url)
    try:
        return await read(connection, schema)
    finally:
        await connection.close()
