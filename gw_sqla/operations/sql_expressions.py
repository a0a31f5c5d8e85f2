"""What authors of migrations write, as SQL: values are quoted, ``sqlalchemy.text()`` stays, columns become NEW's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import TextClause
from sqlalchemy.dialects.postgresql.base import PGDialect

from gw_sqla.errors import InvalidJobError
from gw_sqla.jobs.argument_checks import check_storable
from gw_sqla.statements.quoting import literal, quoted

__all__ = ["MOST_BYTES", "Event", "Payload", "check_identifier", "payload_sql", "qualified", "sql", "value_sql"]

Event = Literal["insert", "update", "delete"]
Payload: TypeAlias = Sequence[str] | Mapping[str, str | TextClause] | TextClause | None
"""Columns, or field to column or SQL, or SQL that yields JSON; None leaves the payload at ``{}``."""

MOST_BYTES = 63
"""PostgreSQL cuts longer names off, silently."""
_MOST_FIELDS = 50
"""json_build_object takes 100 arguments."""
_DIALECT = PGDialect(paramstyle="named")  # type: ignore[no-untyped-call]  # named: does not double the % in SQL


def check_identifier(argument: str, name: object) -> None:
    """Raise InvalidJobError unless PostgreSQL can hold the name as it is."""
    check_storable(argument, name)
    assert isinstance(name, str)
    if not 1 <= len(name.encode()) <= MOST_BYTES:
        raise InvalidJobError(argument, f"{name!r} cannot be a name in PostgreSQL, which wants 1 to {MOST_BYTES} bytes")


def qualified(schema: str | None, name: str) -> str:
    """Return the quoted name, with its schema if there is one."""
    return quoted(name) if schema is None else f"{quoted(schema)}.{quoted(name)}"


def sql(argument: str, clause: object) -> str:
    """Return the author's SQL in brackets, its parameters as literals; raises InvalidJobError for another type."""
    if not isinstance(clause, TextClause):
        raise InvalidJobError(argument, f"must be SQL, as sqlalchemy.text(...), is {clause!r}")
    compiled = clause.compile(dialect=_DIALECT)
    missing = sorted(name for name, parameter in compiled.binds.items() if parameter.required)
    if missing:
        raise InvalidJobError(
            argument, f"has parameters without a value ({', '.join(missing)}): bind them, or write \\:"
        )
    text = str(clause.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}))
    return f"({text}\n)" if "--" in text else f"({text})"


def value_sql(argument: str, value: Any) -> str:
    """Return a value or SQL as SQL; the types of values were checked by JobSpec."""
    if isinstance(value, TextClause):
        return sql(argument, value)
    if isinstance(value, datetime):
        return literal(value.isoformat())
    if isinstance(value, int):
        return str(value)
    return literal(value) if isinstance(value, str) else f"array[{', '.join(literal(flag) for flag in value)}]"


def payload_sql(payload: object, events: Sequence[Event]) -> str:
    """Return the payload as SQL of type json; raises InvalidJobError."""
    if isinstance(payload, TextClause):
        return f"cast({sql('payload', payload)} as pg_catalog.json)"
    if isinstance(payload, str) or not isinstance(payload, Mapping | Sequence):
        raise InvalidJobError(
            "payload", f"must be a list of columns, a dict of field to column, or sqlalchemy.text(), is {payload!r}"
        )
    fields = payload if isinstance(payload, Mapping) else {column: column for column in payload}
    if len(fields) > _MOST_FIELDS:
        raise InvalidJobError("payload", f"has more than {_MOST_FIELDS} fields: take sqlalchemy.text('to_json(NEW)')")
    parts = []
    for field, source in fields.items():
        check_storable("payload", field)
        value = sql("payload", source) if isinstance(source, TextClause) else _column(source, events)
        parts.append(f"{literal(field)}, {value}")
    return f"pg_catalog.json_build_object({', '.join(parts)})"


def _column(column: str, events: Sequence[Event]) -> str:
    """The column's value: the new one, or of a deleted row the old one."""
    check_identifier("payload", column)
    name = quoted(column)
    if "delete" not in events:
        return f"new.{name}"
    if len(events) == 1:
        return f"old.{name}"
    return f"case when tg_op = 'DELETE' then old.{name} else new.{name} end"
