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

__all__ = ["error_text", "storable_text", "traceback_text"]

_LONGEST = 4000


def error_text(error: BaseException) -> str:
    """Return the type and message of an error as text that PostgreSQL can hold, at most 4,000 characters."""
    try:
        message = _message(error)
    except Exception as broken:  # an exception class of the user's with a broken __str__
        message = f"(its text cannot be made: {type(broken).__name__})"
    causes = ""
    if isinstance(error, BaseExceptionGroup):
        causes = ": " + "; ".join(error_text(part) for part in error.exceptions[:5])
    return storable_text(f"{type(error).__name__}: {message}{causes}" if message else type(error).__name__ + causes)


def storable_text(text: str) -> str:
    """Return the text without what PostgreSQL cannot hold, cut to 4,000 characters."""
    text = text.replace("\0", "\\0").encode(errors="backslashreplace").decode()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 4] + " ..."


def traceback_text(error: BaseException) -> str:
    """Return the tracebacks of an error, its parts and its causes, for a log; their messages as in `error_text`."""
    parts = [*traceback.format_tb(error.__traceback__), error_text(error)]
    if isinstance(error, BaseExceptionGroup):
        parts += [f"\nin it {traceback_text(part)}" for part in error.exceptions[:5]]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        parts.append(f"\nafter {traceback_text(cause)}")
    return "".join(parts)


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
