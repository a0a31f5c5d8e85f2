"""Checks of the worker schema: its version, what the role may do in it, what it takes on the disk."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from gw_sqla.errors import AccessError, SchemaError, SchemaTooNewError, SchemaTooOldError
from gw_sqla.health.finding import Finding, Verdict, of_many
from gw_sqla.health.look import Look
from gw_sqla.schema.check import require_current
from gw_sqla.schema.role_check import look_at_role
from gw_sqla.schema.state import read_state
from gw_sqla.statements import health
from gw_sqla.statements.quoting import quoted
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["rights", "schema", "storage"]

_BIG = 64 * 2**20
_MOST_PER_ROW = {False: 4096, True: 1024}
"""Bytes that a row may take on average in a table, in an index: PostgreSQL moves out what is longer than 2 kB."""
_MANY_DEAD = 50_000
_LATE = 3
"""How many times what autovacuum waits for there may be."""


def schema(look: Look) -> Iterator[Finding]:
    """Whether this version of gw_sqla can work in it."""
    state = read_state(look.connection, look.schema, look.as_)
    try:
        require_current(state)
    except AccessError:
        yield Finding("schema", Verdict.UNKNOWN, "this role may not read its version", repair="see the rights")
    except SchemaTooNewError as error:
        yield Finding("schema", Verdict.WRONG, str(error), state.newest, "pip install --upgrade gw-sqla")
    except SchemaTooOldError as error:
        repair = "graphile-worker --schema-only, of 0.16 or later; or give the --schema of another"
        yield Finding("schema", Verdict.WRONG, str(error), state.newest, repair)
    except SchemaError as error:
        yield Finding(
            "schema", Verdict.WRONG, str(error), state.newest, f"python -m gw_sqla migrate{_option(look.schema)}"
        )
    else:
        found = f"Graphile Worker revision {state.newest}, gw_sqla revision {state.version}"
        yield Finding("schema", Verdict.OK, found, state.newest)


def rights(look: Look) -> Iterator[Finding]:
    """What the role lacks for its work, row level security included, and what it may do beyond."""
    seen = look_at_role(look.connection, None, look.as_, look.schema)
    if seen.missing:
        yield Finding(
            "rights",
            Verdict.WRONG,
            f"role {seen.role!r} lacks {len(seen.missing)} for the work of a {look.as_}: {of_many([*seen.missing])}",
            len(seen.missing),
            f"python -m gw_sqla grants {shlex.quote(seen.role)} --as {look.as_}{_option(look.schema)} --apply",
        )
    else:
        beyond = f", and {len(seen.beyond)} beyond: {of_many([*seen.beyond])}" if seen.beyond else ""
        text = f"role {seen.role!r} has what it needs as {look.as_}{beyond}"
        yield Finding("rights", Verdict.OK, text, 0)
    if seen.pathless:
        yield Finding(
            "triggers",
            Verdict.WARNING,
            f"{len(seen.pathless)} call functions without a search_path of their own: {of_many([*seen.pathless])}",
            len(seen.pathless),
            "alter function ... set search_path = ...; on a worker's path they find PostgreSQL's own objects only",
        )


def storage(look: Look) -> Iterator[Finding]:
    """Tables and indexes that are large for their rows, and dead rows that autovacuum should have taken by now."""
    rows = look.rows(health.storage(look.schema), namespace=quoted(look.schema))
    bloated = [row for row in rows if row.bytes > _BIG and row.bytes > _MOST_PER_ROW[row.is_index] * max(row.live, 1)]
    place = quoted(look.schema)
    if bloated:
        repairs = [
            f"reindex index concurrently {place}.{row.name};" if row.is_index else f"vacuum (full) {place}.{row.name};"
            for row in bloated
        ]
        found = of_many([f"{row.name} has {_size(row.bytes)} for {row.live:,} rows" for row in bloated])
        repair = " ".join(repairs) + (" (full locks the table: at a quiet time)" if "full" in "".join(repairs) else "")
        yield Finding("bloat", Verdict.WARNING, found, max(row.bytes for row in bloated), repair)
    else:
        size = sum(row.bytes for row in rows)
        yield Finding("bloat", Verdict.OK, f"tables and indexes have {_size(size)}", size)
    yield _vacuum([row for row in rows if not row.is_index], place)


def _vacuum(rows: list[Any], place: str) -> Finding:
    off = [row.name for row in rows if not row.vacuumed]
    if off:
        repair = " ".join(f"alter table {place}.{name} reset (autovacuum_enabled);" for name in off)
        text = f"autovacuum is off for {of_many(off)}: claims get slower with each job that is done"
        return Finding("autovacuum", Verdict.WRONG, text, len(off), f"alter system reset autovacuum; or {repair}")
    late = [row for row in rows if row.dead > max(_MANY_DEAD, _LATE * row.threshold)]
    dead = sum(row.dead for row in rows)
    if late:
        text = of_many([f"{row.name} has {row.dead:,} dead rows beside {row.live:,}" for row in late])
        repair = " ".join(f"vacuum (analyze) {place}.{row.name};" for row in late)
        return Finding("autovacuum", Verdict.WARNING, text, dead, f"{repair} If that changes nothing: the transactions")
    return Finding("autovacuum", Verdict.OK, f"{dead:,} dead rows wait for it", dead)


def _size(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def _option(name: str) -> str:
    return "" if name == DEFAULT_SCHEMA else f" --schema {shlex.quote(name)}"
