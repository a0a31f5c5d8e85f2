"""What went wrong, as text for people: bounded, storable, and without the values that a library put into it.

SQLAlchemy's errors show the statement's parameters and PostgreSQL's detail shows rows; pydantic's show the
input. Those are often the payload, which may hold secrets: what is wrong stays, the values go.
"""

from __future__ import annotations

from pydantic import ValidationError
from sqlalchemy.exc import StatementError

from gw_sqla.payload import problems

__all__ = ["error_text", "hide_values", "storable_text"]

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


def hide_values(error: BaseException | None) -> None:
    """Let SQLAlchemy's errors in a chain hide their parameters, before its traceback is logged."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, StatementError):
            error.hide_parameters = True
        if isinstance(error, BaseExceptionGroup):
            for part in error.exceptions:
                hide_values(part)
        error = error.__cause__ or error.__context__


def _message(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return f"{error.title}: {problems(error)}"
    if isinstance(error, StatementError):
        first_line = str(error.orig or error.args[0]).partition("\n")[0]
        return f"{first_line} [SQL: {error.statement}]" if error.statement else first_line
    return str(error)
