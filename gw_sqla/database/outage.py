"""What a query can raise when the database is at fault, and the waiting for the end of such an outage."""

from __future__ import annotations

import logging
import random
from time import monotonic
from typing import Protocol

import anyio
import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from gw_sqla.error_texts.error_text import error_text

__all__ = [
    "DATABASE_FAULTS",
    "ConnectError",
    "Outage",
    "Told",
    "has_no_connection_left",
    "is_answer",
    "is_conflict",
    "is_refusal",
    "waited_for_lock",
]

log = logging.getLogger(__name__)

DATABASE_FAULTS = (
    DBAPIError,
    PoolTimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # asyncpg's state machine, on a connection that dies under it
    OSError,
)
"""What a query can raise when the database, the network or the pool is at fault."""


class ConnectError(ConnectionError):
    """Opening a connection has raised what no driver raises."""


_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0


_OF_THE_DATABASE = ("08", "25", "26", "40", "53", "55", "57", "58", "XX")
"""Classes of SQLSTATE of what befalls all alike and goes by itself: connections, resources, locks, administrators."""


def is_refusal(fault: asyncpg.PostgresError) -> bool:
    """Tell whether the server has refused this statement, rather than being at fault itself."""
    return str(fault.sqlstate)[:2] not in _OF_THE_DATABASE


def is_answer(fault: asyncpg.PostgresError) -> bool:
    """Tell whether the server has answered that a statement failed; of a connection that ended it says nothing.

    The code does not tell: a trigger that connects elsewhere may raise what that one's end looks like. What ends the
    connection is FATAL or PANIC; what the driver raises itself has no severity.
    """
    severity: str | None = getattr(fault, "severity_en", None)
    return severity == "ERROR"


def is_conflict(error: DBAPIError) -> bool:
    """Tell whether a transaction has failed for the sake of another, and is expected to be tried again at once."""
    return getattr(error.orig, "sqlstate", None) in ("40001", "40P01")


def waited_for_lock(fault: BaseException) -> bool:
    """Tell whether a statement has waited for as long as it may for what another transaction has locked."""
    return isinstance(fault, asyncpg.LockNotAvailableError)


def has_no_connection_left(fault: BaseException) -> bool:
    """Tell whether the server, the database or the role allows no more connections (SQLSTATE 53300)."""
    error: BaseException | None = fault
    while error is not None and not isinstance(error, asyncpg.TooManyConnectionsError):
        error = error.__cause__
    return error is not None


class Told(Protocol):
    """Who is told of outages."""

    def fault(self, doing: str, fault: BaseException, /) -> None:
        """One begins."""

    def fault_over(self, doing: str, faults: int, seconds: float, /) -> None:
        """One is over."""


class Outage:
    """Backoff with jitter through one outage; says once what happened and once that it is over, in the log and to
    ``told``."""

    def __init__(self, doing: str, told: Told | None = None) -> None:
        self._doing = doing
        self._told = told
        self._faults = 0
        self._since = 0.0

    @property
    def faults(self) -> int:
        """How many there were so far; none where all works."""
        return self._faults

    async def wait(self, fault: BaseException) -> None:
        """Log the first fault of an outage, then sleep; 0.1 s at first, up to 5 s. Cancellable."""
        if self._faults == 0:
            log.warning("%s failed, will be tried again until it works: %s", self._doing, error_text(fault))
            self._since = monotonic()
            if self._told is not None:
                self._told.fault(self._doing, fault)
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(self._faults, 10))
        self._faults += 1
        await anyio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311 - jitter, not a secret

    def over(self) -> None:
        """Note that it works; log it, if it did not work before."""
        if self._faults:
            log.warning("%s works again after %d faults", self._doing, self._faults)
            if self._told is not None:
                self._told.fault_over(self._doing, self._faults, monotonic() - self._since)
            self._faults = 0
