"""Asks in the transaction that a Session is in.

It does not begin, commit or roll back: SQLAlchemy begins a transaction if the session is in none. Nothing is flushed
first: what the caller has in the session is written when the caller says so. Errors of the database pass through as
SQLAlchemy raises them, but for those that `gw_sqla.calls.session_errors` explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.engine import Result, Row
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import Executable

from gw_sqla.calls.session_errors import errors_explained
from gw_sqla.database.autocommit import is_autocommit
from gw_sqla.errors import SessionError
from gw_sqla.jobs.stored_job import JobRow
from gw_sqla.models import Job, schema_option

__all__ = ["ask", "ask_for_jobs", "command", "require_transaction"]

_BOUND = {"mapper": inspect(Job)}
"""For sessions of several engines: that of our models."""


_AUTOCOMMIT = (
    "the session's connection is in AUTOCOMMIT, so the job would be there at once, and stay when your "
    "transaction is rolled back: use a session of an engine without isolation_level='AUTOCOMMIT'"
)


def require_transaction(session: Session, schema: str, problem: str = _AUTOCOMMIT) -> None:
    """Raise SessionError, with ``problem``, where the session's connection commits each statement by itself."""
    with errors_explained(session, schema):
        connection = session.connection(bind_arguments=_BOUND)
    if is_autocommit(connection):
        raise SessionError(problem)


def ask(
    session: Session, schema: str, statement: Executable, parameters: dict[str, Any] | None = None
) -> Sequence[Row[Any]]:
    """Return the rows of the statement."""
    with errors_explained(session, schema):
        return _execute(session, schema, statement, parameters).all()


def ask_for_jobs(session: Session, schema: str, statement: Executable, parameters: dict[str, Any]) -> list[JobRow]:
    """Return the jobs; the empty row with which Graphile Worker's functions say "none" is left out."""
    rows: Sequence[Any] = ask(session, schema, statement, parameters)
    return [JobRow(*row) for row in rows if row[0] is not None]


def command(session: Session, schema: str, statement: Executable) -> None:
    """Execute a statement that has no rows."""
    with errors_explained(session, schema):
        _execute(session, schema, statement, None)


def _execute(session: Session, schema: str, statement: Executable, parameters: dict[str, Any] | None) -> Result[Any]:
    return session.execute(
        statement,
        parameters,
        execution_options={**schema_option(schema), "autoflush": False},
        bind_arguments=_BOUND,
    )
