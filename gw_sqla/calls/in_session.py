"""Runs a call in the transaction that a Session is in. An AsyncSession gives its Session by ``run_sync``.

Errors of the database pass through as SQLAlchemy raises them, but for those that say that this session,
whatever is asked of it, is the wrong one or in the wrong state: these become an error that says what to do.
Nothing is flushed first: what the caller has in the session is written when the caller says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import inspect
from sqlalchemy.engine import Row
from sqlalchemy.exc import DBAPIError, InvalidRequestError, SQLAlchemyError
from sqlalchemy.orm import Session

from gw_sqla.calls.protocol import Ask, Call
from gw_sqla.errors import AccessError, GwSqlaError, SchemaMissingError, SessionError
from gw_sqla.models import Job, schema_option

__all__ = ["run"]

T = TypeVar("T")

_ABORTED = "25P02"
_READ_ONLY = "25006"
_FORBIDDEN = "42501"
_MISSING = frozenset({"3F000", "42883", "42P01"})


def run(session: Session, schema: str, call: Call[T]) -> T:
    """Return the result of the call. Raises what it raises, SQLAlchemy's errors, and SessionError.

    It does not begin, commit or roll back: SQLAlchemy begins a transaction if the session is in none.
    """
    try:
        ask = next(call)
        while True:
            ask = call.send(_rows(session, schema, ask))
    except StopIteration as end:
        result: T = end.value
        return result


def _rows(session: Session, schema: str, ask: Ask) -> Sequence[Row[Any]]:
    try:
        result: Any = session.execute(
            ask.statement,
            ask.parameters,
            execution_options={**schema_option(schema), "autoflush": False},
            bind_arguments={"mapper": inspect(Job)},  # for sessions of several engines
        )
        return [] if ask.is_command else result.all()
    except (DBAPIError, InvalidRequestError) as error:
        explained = _explained(session, schema, error)
        if explained is None:
            raise
        raise explained from error


def _explained(session: Session, schema: str, error: SQLAlchemyError) -> GwSqlaError | None:
    if not isinstance(error, DBAPIError):
        return SessionError(f"jobs cannot be added or read in this session: {error}")
    if (engine := session.get_bind(mapper=inspect(Job)).dialect.name) != "postgresql":
        return SessionError(
            f"this session's engine is of {engine}; jobs live in PostgreSQL: use a session of that engine"
        )
    message = str(getattr(error.orig, "__cause__", None) or error.orig).splitlines()[0]
    sqlstate = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    if sqlstate == _ABORTED:
        return SessionError(
            "an earlier statement failed, so PostgreSQL ignores all others until the end of the transaction: roll the "
            "session back (or the savepoint, if the statement was in one) and begin again"
        )
    if sqlstate == _READ_ONLY:
        return SessionError(
            "this session's transaction is read only, so nothing can be added or changed: use an engine of the primary "
            "server, without postgresql_readonly and default_transaction_read_only"
        )
    if sqlstate == _FORBIDDEN:
        return AccessError(f"this session's role may not use the schema {schema!r}: {message}; grant it the right")
    if sqlstate in _MISSING:
        return SchemaMissingError(
            schema,
            f"this session's database has no worker schema {schema!r} as gw_sqla needs it: use a session of the engine "
            f"that has it, or create it with 'python -m gw_sqla migrate' ({message})",
        )
    return None
