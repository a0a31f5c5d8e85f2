"""What went wrong, as a page: what happened and what to do, without a traceback and without values of jobs.

`gw_sqla.error_texts` makes the texts of errors. What has no page of its own has a number, by which the log has it all.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gw_sqla.error_texts.error_text import message_text, traceback_text
from gw_sqla.errors import (
    AccessError,
    InvalidJobError,
    LoopError,
    ReadTimeoutError,
    SchemaBehindError,
    SchemaError,
    SchemaMissingError,
    SchemaTooNewError,
    SessionError,
)
from gw_sqla.web.visit import Visit

__all__ = ["Fault", "answered", "fault_of", "page"]

log = logging.getLogger("gw_sqla.web")

_READ_ONLY = "25006"
_FORBIDDEN = "42501"
_GONE = ("08", "57P01", "57P02", "57P03", "53300")
_SAID = {404: "There is no such page.", 405: "This page cannot be asked for like that."}


@dataclass(frozen=True, slots=True)
class Fault:
    """What a page says: the status, what happened, more about it, and what to do."""

    status: int
    title: str
    what: str
    remedy: str = ""


_OWN: tuple[tuple[type[Exception], int, str, str], ...] = (
    (InvalidJobError, 400, "This cannot be meant", "Go back, and change it. Nothing was done."),
    (ReadTimeoutError, 503, "The database was too slow", "Look for less, by a narrower filter, or again later."),
    (SchemaMissingError, 503, "There is no worker schema here", ""),
    (SchemaBehindError, 503, "The worker schema is older than this version", ""),
    (SchemaTooNewError, 503, "The worker schema is newer than this version", ""),
    (SchemaError, 503, "The worker schema cannot be used", ""),
    (AccessError, 403, "The database role lacks a right", "Nothing was done."),
    (LoopError, 500, "The dashboard is served without an asyncio loop for its driver", ""),
)
_AWAY = Fault(
    503,
    "The database cannot be reached",
    "It is away, restarting, or takes no more connections.",
    "This page works again when the database does. What was being changed was done whole or not at all; "
    "look before you do it again.",
)


async def answered(visit: Visit, answer: Callable[[], Awaitable[Response]]) -> Response:
    """Return the answer, or the page of what it raised."""
    try:
        return await answer()
    except Exception as error:
        return page(visit, error)


def page(visit: Visit, error: Exception) -> Response:
    """Return the page of an error."""
    fault = fault_of(error)
    response = visit.render("fault.html", fault.status, fault=fault)
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update(error.headers)
    return response


def fault_of(error: Exception) -> Fault:
    """Return what a page says of an error; logs one that is not expected."""
    for kind, status, title, remedy in _OWN:
        if isinstance(error, kind):
            return Fault(status, title, str(error), remedy)
    match error:
        case HTTPException():
            phrase = HTTPStatus(error.status_code).phrase
            said = error.detail if error.detail != phrase else _SAID.get(error.status_code, "That is not possible.")
            return Fault(error.status_code, phrase, said)
        case TimeoutError() | PoolTimeoutError():
            return Fault(
                503,
                "The database did not answer in time",
                "It is busy, cannot be reached, or all connections of this server are in use.",
                "Try again in a moment. What was being changed may have been done: look before you do it again.",
            )
        case OSError() | asyncpg.InterfaceError() | InterfaceError():
            return _AWAY
        case DBAPIError() | asyncpg.PostgresError():
            return _of_database(error)
        case SessionError() if isinstance(error.__cause__, DBAPIError):
            return _of_database(error.__cause__)
    number = _logged(error)
    what = f"It is in the log of this server, as error {number}."
    return Fault(500, "Something unexpected happened", what, "It may work again.")


def _of_database(error: DBAPIError | asyncpg.PostgresError) -> Fault:
    original = error.orig if isinstance(error, DBAPIError) else error
    sqlstate = str(getattr(original, "sqlstate", None) or "")
    if sqlstate == _READ_ONLY:
        return Fault(
            403,
            "The database takes no changes here",
            "This connection can only read: a standby, or a role whose transactions are read-only.",
            "Connect the dashboard to the primary, with a role that may write. Nothing was done.",
        )
    if sqlstate == _FORBIDDEN:
        return Fault(403, "The database role lacks a right", message_text(error), "Nothing was done.")
    lost = isinstance(error, OperationalError) or getattr(error, "connection_invalidated", False)
    if lost or sqlstate.startswith(_GONE):
        return _AWAY
    what = f"The log of this server has it as error {_logged(error)}."
    return Fault(503, "The database refused it", message_text(error), what)


def _logged(error: Exception) -> str:
    number = secrets.token_hex(4)
    log.error("dashboard: error %s\n%s", number, traceback_text(error))
    return number
