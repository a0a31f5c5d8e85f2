"""BorrowedConnection: the connection of a test, lent to the parts of a worker in place of connections of their own.

Their statements run in the transaction that the test rolls back. Sessions of handlers are bound to it and begin a
savepoint each, SQLAlchemy's "create_savepoint", so that a handler's commit is that savepoint's release, and its
rollback loses what it did itself. Each job has a savepoint around it, too, by which the connection is got back when a
handler has left the transaction aborted. It is plain SQL: a savepoint of SQLAlchemy's would be a part of whatever
sessions of the test's do meanwhile.

There is one connection: sessions of tasks beside each other take turns (`gw_sqla.testing.turns`), and what a handler
commits in one session while another is open around it is inside that one's savepoint. Nothing else is unlike
production.

The session of a handler is an AsyncSession, also over the connection of a sync test: SQLAlchemy's awaiting methods run
the sync session that is in each of them, and this one never waits for the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, Self, TypeVar

import anyio
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.calls.session_errors import errors_explained
from gw_sqla.database.driver_statements import for_driver
from gw_sqla.database.session import AsyncSession, async_sessionmaker
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.errors import JobTesterError, SchemaBehindError
from gw_sqla.testing.patient_session import BlockingSession, PatientSession
from gw_sqla.testing.turns import Turns

__all__ = ["BorrowedConnection", "CallDriver"]

R = TypeVar("R")

_SAVEPOINT = "savepoint gw_sqla_job"
_RELEASE = "release savepoint gw_sqla_job"
_ROLLBACK = "rollback to savepoint gw_sqla_job"
_ABORTED = "25P02"
_MISSING = ("42P01", "42883", "42703")
"""SQLSTATEs of a table, a function or a column that is not there."""
_JOBS = "._private_jobs"
"""Where this is not there, there is no schema."""


class CallDriver(Protocol):
    """Calls what uses the test's connection, where its driver can be used."""

    async def __call__(self, work: Callable[[], R], /, *, is_shielded: bool) -> R:
        """Call it and return its result; ``is_shielded``: in a scope that is shielded and has no deadline."""
        ...


class _Record(tuple[Any, ...]):
    """A row that is asked by a column's name too, as asyncpg's."""

    names: Sequence[str]

    def __new__(cls, row: Iterable[Any], names: Sequence[str]) -> Self:
        record = super().__new__(cls, row)
        record.names = names
        return record

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self.names.index(key) if isinstance(key, str) else key)


class BorrowedConnection:
    """Fits where a worker's parts take `gw_sqla.database.worker_connection.Statements`.

    Errors of the database leave as SQLAlchemy raises them; once the connection is lost, as a JobTesterError.
    """

    def __init__(self, connection: Connection, call: CallDriver, schema: str) -> None:
        self._connection = connection
        self._call = call
        self._schema = schema
        self.sessions: async_sessionmaker[AsyncSession] = async_sessionmaker(
            class_=PatientSession if connection.dialect.is_async else BlockingSession,
            sync_session_class=self._bound_session,
            turns=Turns(),
            expire_on_commit=False,
        )

    async def use(self, work: Callable[[Session], R]) -> R:
        """Call a function with a session of the kit's own; what it writes stays.

        Without a savepoint: that would be two statements more.
        """

        def used() -> R:
            with self._told_if_ended():
                session = Session(self._connection, join_transaction_mode="rollback_only")
                result = work(session)
                session.commit()  # ends its own transaction, and not the one that it has joined
                return result

        return await self._call(used, is_shielded=False)

    async def ask(self, statement: ClauseElement) -> Sequence[Any]:
        """Run a query; what makes it fail is explained as in a session of the caller's."""
        return await self._call(lambda: self.ask_now(statement), is_shielded=False)

    def ask_now(self, statement: ClauseElement) -> Sequence[Any]:
        """The same in sync code."""
        with self._told_if_ended(), errors_explained(self._connection, self._schema), self._told_if_behind():
            return self._fetch(statement, {})

    async def fetch(self, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        """Run one statement, which waits for nobody's locks, and return its rows; shielded from a cancellation."""
        with self._told_if_ended(), self._told_if_behind():
            return await self._shielded(lambda: self._fetch(statement, parameters))

    async def fetch_shielded(self, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        """The same."""
        return await self.fetch(statement, parameters)

    async def fetch_waiting(self, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        """The same for one that may wait for others' locks: a cancellation cancels it, and costs the connection."""
        with self._told_if_ended(), self._told_if_behind():
            return await self._call(lambda: self._fetch(statement, parameters), is_shielded=False)

    async def lost_have_ended(self) -> bool:
        """None is ever lost: it is the test's to end."""
        return True

    async def cut_off(self) -> None:
        """Leave it: it is the test's."""

    async def close(self) -> None:
        """Leave it: it is the test's."""

    async def begin_job(self) -> None:
        """Begin the savepoint of a job; shielded from a cancellation, as what ends it."""
        try:
            await self._run(_SAVEPOINT)
        except DBAPIError as error:
            if _sqlstate(error) != _ABORTED:
                raise
            raise JobTesterError(
                "an earlier statement of the test failed, so PostgreSQL ignores all others: roll the test's session "
                "back first, or put what may fail into a savepoint, session.begin_nested()"
            ) from error

    async def end_job(self) -> bool:
        """Release the savepoint; False where the transaction was aborted, and is got back by rolling back to it.

        Raises JobTesterError where the handler has ended a transaction of the test's around it.
        """
        try:
            await self._run(_RELEASE)
        except DBAPIError:
            await self.undo_job()
            return False
        return True

    async def undo_job(self) -> None:
        """Roll back to the savepoint, and release it."""
        try:
            await self._run(_ROLLBACK)
        except DBAPIError as error:
            raise JobTesterError(
                "the handler has ended the transaction, or the savepoint, of the test's own session, and with it the "
                "one of the job: commit the test's session before jobs run, and let handlers use theirs "
                "(ctx.session(), or an AsyncSession parameter)"
            ) from error
        await self._run(_RELEASE)

    async def _shielded(self, work: Callable[[], R]) -> R:
        """Call it; a cancellation in the middle of a statement would cost the connection."""
        with anyio.CancelScope(shield=True):
            return await self._call(work, is_shielded=True)
        raise AssertionError("nothing cancels this scope")

    def _fetch(self, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        if self._connection.dialect.driver == "asyncpg":  # as a worker: a new connection looks no array types up
            sql, arguments = for_driver(statement, parameters)
            result = self._connection.exec_driver_sql(sql, tuple(arguments))
        else:
            assert isinstance(statement, Executable)
            result = self._connection.execute(statement, parameters)
        names = list(result.keys())
        return [_Record(row, names) for row in result]

    async def _run(self, command: str) -> None:
        with self._told_if_ended():
            await self._shielded(lambda: self._connection.exec_driver_sql(command))

    def _bound_session(self, **options: Any) -> Session:
        return Session(**options | {"bind": self._connection, "join_transaction_mode": "create_savepoint"})

    @contextmanager
    def _told_if_ended(self) -> Iterator[None]:
        if not self._connection.in_transaction():
            raise JobTesterError(
                "the transaction of the test has ended (it was rolled back, committed, or its connection closed), and "
                "all that was in it: what came now would not be undone with the test"
            )
        try:
            yield
        except SQLAlchemyError as error:
            if not self._connection.invalidated:
                raise
            raise JobTesterError(
                "the connection of the test's session is lost, and its transaction with it: was a statement cancelled, "
                "or the connection ended by the server?"
            ) from error

    @contextmanager
    def _told_if_behind(self) -> Iterator[None]:
        """Explain what a worker, which looks at the schema's version when it starts, would have told."""
        try:
            yield
        except DBAPIError as error:
            if _sqlstate(error) not in _MISSING or _JOBS in error_text(error):
                raise
            raise SchemaBehindError(
                self._schema,
                f"the worker schema {self._schema!r} of the test's database lacks what this version of gw_sqla needs "
                f"({error_text(error)}): bring it up to date, by 'python -m gw_sqla migrate', or in a history of your "
                "own by 'python -m gw_sqla revision'",
            ) from error


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
