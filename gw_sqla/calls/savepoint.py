"""A savepoint around statements of ours that are all or nothing, in the caller's transaction.

By SQL, not by ``Session.begin_nested``: that would flush what the caller has in the session.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from gw_sqla.calls.asking import command
from gw_sqla.errors import GwSqlaError

__all__ = ["savepoint"]

_BEGIN = text("savepoint gw_sqla_chunk")
_ROLLBACK = text("rollback to savepoint gw_sqla_chunk")
_RELEASE = text("release savepoint gw_sqla_chunk")


@contextmanager
def savepoint(session: Session, schema: str) -> Iterator[None]:
    """Undo what the block did where it raises; what came before it stays, and the transaction goes on."""
    command(session, schema, _BEGIN)
    try:
        yield
    except Exception:
        with suppress(SQLAlchemyError, GwSqlaError):  # where it fails, the transaction can only be rolled back
            command(session, schema, _ROLLBACK)
            command(session, schema, _RELEASE)
        raise
    command(session, schema, _RELEASE)
