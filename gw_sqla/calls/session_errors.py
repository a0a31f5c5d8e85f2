"""Errors that say that this session, whatever is asked of it, is the wrong one or in the wrong state.

They become one that says what to do; the others pass through as SQLAlchemy raises them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError, InvalidRequestError, SQLAlchemyError
from sqlalchemy.orm import Session

from gw_sqla.error_texts.error_text import error_text
from gw_sqla.errors import AccessError, GwSqlaError, SchemaMissingError, SessionError
from gw_sqla.models import Job

__all__ = ["errors_explained"]

_ABORTED = "25P02"
_READ_ONLY = "25006"
_FORBIDDEN = "42501"
_MISSING = frozenset({"3F000", "42883", "42P01"})


@contextmanager
def errors_explained(asked: Session | Connection, schema: str) -> Iterator[None]:
    """Raise SessionError, AccessError or SchemaMissingError for what SQLAlchemy raises in the block, where one fits."""
    try:
        yield
    except (DBAPIError, InvalidRequestError) as error:
        explained = _explained(asked, schema, error)
        if explained is None:
            raise
        raise explained from error


def _explained(asked: Session | Connection, schema: str, error: SQLAlchemyError) -> GwSqlaError | None:
    if not isinstance(error, DBAPIError):
        return SessionError(f"jobs cannot be added or read in this session: {error_text(error)}")
    bind = asked if isinstance(asked, Connection) else asked.get_bind(mapper=inspect(Job))
    if (engine := bind.dialect.name) != "postgresql":
        return SessionError(
            f"this session's engine is of {engine}; jobs live in PostgreSQL: use a session of that engine"
        )
    message = error_text(error)
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
        return AccessError(
            f"this session's role may not do this in the schema {schema!r}: {message}; who owns its tables can grant "
            "the least that it needs, by 'python -m gw_sqla grants ROLE --as adder' (or reader, or admin)"
        )
    if sqlstate in _MISSING:
        return SchemaMissingError(
            schema,
            f"this session's database has no worker schema {schema!r} as gw_sqla needs it: use a session of the engine "
            f"that has it, or create it with 'python -m gw_sqla migrate' ({message})",
        )
    return None
