"""Text with the schema's quoted name in it, typed parameters and typed columns.

Statements run in sessions whose search path and temporary objects are somebody else's. So each function and type in
them is named with ``pg_catalog``; for types that have a syntax of their own (integer, timestamp with time zone,
interval) PostgreSQL does that. An operator is named so too where none of PostgreSQL's takes exactly these types: an
exact match of others would be found before it.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import BigInteger, BindParameter, Boolean, DateTime, Integer, SmallInteger, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.type_api import TypeEngine
from sqlalchemy.types import UserDefinedType

__all__ = [
    "BIGINTS",
    "BOOLEANS",
    "EARLIEST",
    "FIRST_DAY",
    "INTEGERS",
    "JOB_COLUMNS",
    "JOB_SELECTED",
    "LAST_DAY",
    "SMALLINTS",
    "TEXT",
    "TEXTS",
    "TIMESTAMP",
    "TIMESTAMPS",
    "as_text",
    "dollar_tag",
    "in_python",
    "literal",
    "quoted",
    "statement",
]


class _Text(UserDefinedType[str]):
    """PostgreSQL's own text; SQLAlchemy would make VARCHAR of a parameter, for which no operator is an exact match."""

    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_: Any) -> str:
        return "pg_catalog.text"


BIGINTS = ARRAY(BigInteger)
BOOLEANS = ARRAY(Boolean)
INTEGERS = ARRAY(Integer)
SMALLINTS = ARRAY(SmallInteger)
TEXT = _Text()
TEXTS = ARRAY(TEXT)
TIMESTAMP = DateTime(timezone=True)
TIMESTAMPS = ARRAY(TIMESTAMP)

EARLIEST = "pg_catalog.timestamptz '0001-01-01 00:00:00+00'"
"""The first time that a Python datetime holds; PostgreSQL's times, infinities included, go beyond them."""
FIRST_DAY = "pg_catalog.timestamptz '0001-01-02 00:00:00+00'"
LAST_DAY = "pg_catalog.timestamptz '9999-12-30 23:59:59.999999+00'"
"""The first and the last that it holds in every time zone: psycopg's datetimes are in that of the connection."""

JOB_COLUMNS: dict[str, TypeEngine[Any]] = {
    "id": BigInteger(),
    "task_id": Integer(),
    "job_queue_id": Integer(),
    "payload_text": Text(),
    "priority": SmallInteger(),
    "run_at": TIMESTAMP,
    "attempts": SmallInteger(),
    "max_attempts": SmallInteger(),
    "last_error": Text(),
    "created_at": TIMESTAMP,
    "updated_at": TIMESTAMP,
    "key": Text(),
    "locked_at": TIMESTAMP,
    "locked_by": Text(),
    "revision": Integer(),
    "flags": JSONB(),
    "task_identifier": Text(),
}
"""The fields of `gw_sqla.jobs.stored_job.JobRow`, with their types."""


def in_python(time: str) -> str:
    """Return the SQL of a time as a Python datetime can hold it: infinities, by which people park things, cannot be."""
    return f"case when {time} is not null then least(greatest({time}, {FIRST_DAY}), {LAST_DAY}) end"


_EXPRESSIONS = {
    "payload_text": "cast(j.payload as pg_catalog.text) as payload_text",
    "run_at": f"least(greatest(j.run_at, {FIRST_DAY}), {LAST_DAY}) as run_at",
    "locked_at": f"{in_python('j.locked_at')} as locked_at",
    "task_identifier": (
        "(select t.identifier from __schema__._private_tasks t where t.id = j.task_id) as task_identifier"
    ),
}
JOB_SELECTED = ",\n  ".join(_EXPRESSIONS.get(name, f"j.{name}") for name in JOB_COLUMNS)
"""The same as SQL, of a row ``j`` of the jobs, or of what a function returns of them."""


def quoted(name: str) -> str:
    """Return the name of a schema, table or column as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return the text as an SQL string, whatever standard_conforming_strings says."""
    literal = "'" + text.replace("'", "''") + "'"
    return " E" + literal.replace("\\", "\\\\") if "\\" in text else literal


def as_text(value: str) -> BindParameter[str]:
    """Return the value as a parameter of type text, to be compared with a column."""
    return bindparam(None, value, type_=TEXT, unique=True)


def dollar_tag(body: str, name: str = "body") -> str:
    """Return a dollar quote that does not occur in the body, so that it can stand around it."""
    tag = f"${name}$"
    while tag in body:
        tag = f"{tag[:-1]}_$"
    return tag


_SCHEMA = re.compile("__schema(?:_text)?__")


def statement(template: str, schema: str, **parameters: TypeEngine[Any] | type[TypeEngine[Any]]) -> TextClause:
    """Return the template as text: ``__schema__`` replaced by the quoted name, parameters typed.

    ``__schema_text__`` is the quoted name as an SQL string. A name may have either in it.
    """
    name = quoted(schema)
    names = {"__schema__": name, "__schema_text__": literal(name)}
    # text() reads :name as a parameter
    clause = text(_SCHEMA.sub(lambda found: names[found[0]].replace(":", "\\:"), template))
    return clause.bindparams(*(bindparam(key, type_=type_) for key, type_ in parameters.items()))
