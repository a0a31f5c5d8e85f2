"""Whether a session is one whose work a test can roll back; no statement is run for that."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, inspect
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from gw_sqla.database.autocommit import is_autocommit
from gw_sqla.errors import JobTesterError
from gw_sqla.models import Job

__all__ = ["async_session", "connection_of", "sync_session"]

_RECIPE = """

    async with engine.connect() as connection:        # for a Session the same without async and await
        transaction = await connection.begin()
        async with AsyncSession(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        await transaction.rollback()"""


def async_session(session: object) -> AsyncSession:
    """Return the AsyncSession; raises JobTesterError for anything else."""
    found = session() if isinstance(session, async_scoped_session) else session
    if not isinstance(found, AsyncSession):
        raise JobTesterError(
            f"session: must be an AsyncSession, not {type(session).__name__} (for Session: SyncJobTester)"
        )
    return found


def sync_session(session: object) -> Session:
    """Return the Session; raises JobTesterError for anything else."""
    found: Any = session() if isinstance(session, scoped_session) else session
    if not isinstance(found, Session):
        raise JobTesterError(f"session: must be a Session, not {type(session).__name__} (for AsyncSession: JobTester)")
    return found


def connection_of(session: Session) -> Connection:
    """Return the connection that the session has joined; raises JobTesterError where its commits would be real."""
    bind = session.get_bind(mapper=inspect(Job))
    if not isinstance(bind, Connection):
        raise JobTesterError(
            "session: is bound to an engine, so its commits are real and stay after the test: bind it to a connection "
            f"in a transaction that the test rolls back, as SQLAlchemy's documentation says:{_RECIPE}"
        )
    if bind.closed:
        raise JobTesterError("session: its connection is closed: the test's transaction has ended already")
    if not bind.in_transaction():
        raise JobTesterError(
            "session: its connection is in no transaction, so its commits are real and stay after the test: begin one "
            f"on the connection, and roll it back after the test:{_RECIPE}"
        )
    if session.join_transaction_mode == "control_fully":
        raise JobTesterError(
            "session: with join_transaction_mode='control_fully' its commits are those of the test's transaction, and "
            f"real: use 'create_savepoint':{_RECIPE}"
        )
    if is_autocommit(bind):
        raise JobTesterError(
            "session: its connection is in AUTOCOMMIT, where nothing can be rolled back: use an engine without that"
        )
    return bind
