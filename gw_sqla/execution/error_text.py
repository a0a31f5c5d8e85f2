"""What went wrong, as text for people: bounded, storable, and without the values that a library put into it.

SQLAlchemy's errors show the statement's parameters and PostgreSQL's detail shows rows; pydantic's show the
input. Those are often the payload, which may hold secrets: what is wrong stays, the values go.
"""

from __future__ import annotations

import traceback

from asyncpg import PostgresError
from pydantic import ValidationError
from sqlalchemy.exc import StatementError

from gw_sqla.jobs.payload import problems

__all__ = ["class_name", "error_text", "only_error", "storable_text", "traceback_text"]

_LONGEST = 4000
_DEEPEST = 3
_MOST_PARTS = 5
_MOST_ERRORS = 20
_MOST_FRAMES = 50


def error_text(error: BaseException) -> str:
    """Return the type and message of an error as text that PostgreSQL can hold, at most 4,000 characters.

    Whatever the user's classes do when they are asked for it.
    """
    return storable_text(_text(error, _DEEPEST))


def storable_text(text: str) -> str:
    """Return the text without what PostgreSQL cannot hold, cut to 4,000 characters."""
    text = text.replace("\0", "\\0").encode(errors="backslashreplace").decode()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 4] + " ..."


def traceback_text(error: BaseException) -> str:
    """Return the tracebacks of an error, its parts and its causes, for a log; their messages as in `error_text`.

    Bounded: of a group the first parts, of a chain the first links, each error once.
    """
    parts: list[str] = []
    _add_tracebacks(error, parts, set(), "")
    return "".join(parts)


def only_error(error: BaseException) -> BaseException:
    """Return the error, or what alone is in a group, however deep; a group of several is itself."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _text(error: BaseException, depth: int) -> str:
    name = class_name(error)
    try:
        message = _message(error)
        if isinstance(error, BaseExceptionGroup) and depth:
            inner = [_text(part, depth - 1) for part in error.exceptions[:_MOST_PARTS]]
            message = f"{message}: {'; '.join(inner)}"
    except BaseException as broken:  # of an exception class of the user's, whatever it is
        message = f"(its text cannot be made: {class_name(broken)})"
    return f"{name}: {message[:_LONGEST]}" if message else name


def class_name(error: BaseException) -> str:
    """Return the name of an error's class, whatever a metaclass makes of it."""
    name: str = type.__dict__["__name__"].__get__(type(error))
    return name


def _add_tracebacks(error: BaseException, parts: list[str], seen: set[int], lead: str) -> None:
    link: BaseException | None = error
    while link is not None and id(link) not in seen and len(seen) < _MOST_ERRORS:
        seen.add(id(link))
        frames = traceback.format_tb(link.__traceback__, -_MOST_FRAMES)
        parts += [lead, *frames, error_text(link)]
        if isinstance(link, BaseExceptionGroup):
            for part in link.exceptions[:_MOST_PARTS]:
                _add_tracebacks(part, parts, seen, "\nin it ")
        lead = "\nafter "
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _message(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return f"{error.title}: {problems(error)}"
    if isinstance(error, StatementError):
        first_line = str(error.orig or error.args[0]).partition("\n")[0]
        return f"{first_line} [SQL: {error.statement}]" if error.statement else first_line
    if isinstance(error, PostgresError):
        return str(error.args[0]) if error.args else ""  # its detail shows rows
    if hasattr(error, "pgcode") or hasattr(error, "sqlstate"):  # another driver's, or SQLAlchemy's of asyncpg's
        return str(error).partition("\n")[0]
    return str(error)
