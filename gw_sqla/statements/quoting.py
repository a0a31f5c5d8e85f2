"""Text with the schema's quoted name in it, typed parameters and typed columns."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, DateTime, Integer, SmallInteger, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.type_api import TypeEngine

__all__ = [
    "BIGINTS",
    "BOOLEANS",
    "EARLIEST",
    "FIRST_DAY",
    "INTEGERS",
    "JOB_COLUMNS",
    "LAST_DAY",
    "SMALLINTS",
    "TEXTS",
    "TIMESTAMP",
    "TIMESTAMPS",
    "dollar_tag",
    "literal",
    "quoted",
    "statement",
]

BIGINTS = ARRAY(BigInteger)
BOOLEANS = ARRAY(Boolean)
INTEGERS = ARRAY(Integer)
SMALLINTS = ARRAY(SmallInteger)
TEXTS = ARRAY(Text)
TIMESTAMP = DateTime(timezone=True)
TIMESTAMPS = ARRAY(TIMESTAMP)

EARLIEST = "timestamptz '0001-01-01 00:00:00+00'"
"""The first time that a Python datetime holds; PostgreSQL's times, infinities included, go beyond them."""
FIRST_DAY = "timestamptz '0001-01-02 00:00:00+00'"
LAST_DAY = "timestamptz '9999-12-30 23:59:59.999999+00'"
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


def quoted(name: str) -> str:
    """Return the name of a schema, table or column as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return the text as an SQL string, whatever standard_conforming_strings says."""
    literal = "'" + text.replace("'", "''") + "'"
    return " E" + literal.replace("\\", "\\\\") if "\\" in text else literal


def dollar_tag(body: str, name: str = "body") -> str:
    """Return a dollar quote that does not occur in the body, so that it can stand around it."""
    tag = f"${name}$"
    while tag in body:
        tag = f"{tag[:-1]}_$"
    return tag


def statement(template: str, schema: str, **parameters: TypeEngine[Any] | type[TypeEngine[Any]]) -> TextClause:
    """Return the template as text: ``__schema__`` replaced by the quoted name, parameters typed."""
    name = quoted(schema).replace(":", "\\:")  # text() reads :name as a parameter
    clause = text(template.replace("__schema__", name))
    return clause.bindparams(*(bindparam(key, type_=type_) for key, type_ in parameters.items()))
