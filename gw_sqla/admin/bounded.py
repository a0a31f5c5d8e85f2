"""Statements that may not take long, in somebody else's transaction.

They run in a savepoint, under a ``statement_timeout`` of their own: at the end the savepoint is rolled back, which puts
the transaction's own settings back and loses nothing, as reading writes nothing. So the caller's transaction is as it
was after a statement that was ended, too, and after an error. A timeout of the caller's that is shorter holds.

Rejected: to read the caller's settings and set them again. It needs a savepoint all the same, for after a timeout.

JIT is off: to compile a statement for a large table takes longer than to run it for a page.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import Executable

from gw_sqla.admin.values import ScanLimits
from gw_sqla.calls.asking import ask, command, require_transaction
from gw_sqla.errors import GwSqlaError, InvalidJobError, ReadTimeoutError
from gw_sqla.statements.read_settings import set_up

__all__ = ["BoundedReading", "OutOfTimeError", "bounded"]

_SAVEPOINT = text("savepoint gw_sqla_read")
_ROLLBACK = text("rollback to savepoint gw_sqla_read")
_RELEASE = text("release savepoint gw_sqla_read")

_AUTOCOMMIT = (
    "the session's connection is in AUTOCOMMIT, and what bounds the time of reading holds in a transaction: use a "
    "session of an engine without isolation_level='AUTOCOMMIT'"
)
_CANCELED = "57014"
_ATTEMPTS_TO_LEAVE = 20
_LEAST = 0.005
"""Seconds: with less, nothing is asked."""
_WORN = 0.8
"""The database is told how much time is left when it is less than this share of what it was told last: a round trip."""


class OutOfTimeError(Exception):
    """The time was up: nothing more can be asked in the block of `bounded`. Out of it, it is a ReadTimeoutError."""


class BoundedReading:
    """Asks, and measures the time that is left."""

    def __init__(self, session: Session, schema: str, timeout: timedelta) -> None:
        self._session = session
        self._schema = schema
        self._seconds = timeout.total_seconds()
        self._end = time.monotonic() + self._seconds
        self._told = 0.0
        self._round_trip = math.inf
        self._waited = 0.0
        self._bound = math.inf
        self._is_over = False
        self._sorting = "off"

    def allow_sorting(self) -> None:
        """Let plans read few rows by one index, and sort them, rather than many in order by another."""
        self._sorting, self._told = "on", 0.0

    @property
    def left(self) -> float:
        """Seconds; the way to the database and back does not count: it may be far away."""
        return self._end - time.monotonic() + self._waited

    def ask(self, statement: Executable, parameters: dict[str, Any] | None = None) -> Sequence[Row[Any]]:
        """Return the rows; raises OutOfTimeError where they are not there in time."""
        left = self.left
        if self._is_over or left < _LEAST:
            raise OutOfTimeError
        if not self._told or left < self._told * _WORN:
            settings = {"milliseconds": round(left * 1000), "sorting": self._sorting}
            began = time.monotonic()
            [row] = self._ask(set_up(), settings)
            self._round_trip = min(self._round_trip, time.monotonic() - began)  # for it does next to nothing
            self._told, self._bound = left, row.milliseconds / 1000
        return self._ask(statement, parameters)

    def _ask(self, statement: Executable, parameters: dict[str, Any] | None) -> Sequence[Row[Any]]:
        began = time.monotonic()
        try:
            rows = ask(self._session, self._schema, statement, parameters)
            self._waited += min(self._round_trip, time.monotonic() - began)
            return rows
        except DBAPIError as error:
            if _is_canceled(error) and time.monotonic() - began >= self._bound:  # else somebody has ended it
                self._is_over = True
                raise OutOfTimeError from error
            raise


@contextmanager
def bounded(session: Session, schema: str, limits: ScanLimits) -> Iterator[BoundedReading]:
    """Let the block ask in a savepoint of its own, which leaves no trace; no longer than the limits say.

    Raises ReadTimeoutError where the block lets an OutOfTimeError through.
    """
    if not isinstance(limits, ScanLimits):
        raise InvalidJobError("limits", f"must be ScanLimits, not {type(limits).__name__}")
    require_transaction(session, schema, _AUTOCOMMIT)
    command(session, schema, _SAVEPOINT)
    try:
        yield BoundedReading(session, schema, limits.timeout)
    except Exception as error:
        with suppress(SQLAlchemyError, GwSqlaError):  # where it fails, the transaction can only be rolled back
            _leave(session, schema)
        if isinstance(error, OutOfTimeError):
            raise ReadTimeoutError(limits.timeout) from error
        raise
    _leave(session, schema)


def _leave(session: Session, schema: str) -> None:
    """Roll the savepoint back; again where that was ended, too: what time was left holds for it, on a busy server."""
    for attempts_left in reversed(range(_ATTEMPTS_TO_LEAVE)):
        try:
            command(session, schema, _ROLLBACK)
            break
        except DBAPIError as error:
            if not _is_canceled(error) or not attempts_left:
                raise
    command(session, schema, _RELEASE)


def _is_canceled(error: DBAPIError) -> bool:
    return (getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)) == _CANCELED
