"""Any error to one line on standard error and an exit code."""

from __future__ import annotations

import re
import traceback

import asyncpg
import click
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gw_sqla.errors import AccessError, GwSqlaError, ResourceError, SchemaError, SchemaTooNewError, SessionError

__all__ = ["UnreachableError", "WorkerProcessError", "describe", "is_permanent", "one_line", "report", "show_traceback"]

_USAGE = 2
_FAULT = 1
_INTERRUPTED = 130

_URL_PASSWORD = re.compile(r"(://[^\s:/@]*):[^\s@]+@")


class UnreachableError(Exception):
    """No connection to the database could be made, or it broke; the text says where and why."""


class WorkerProcessError(Exception):
    """What ended a worker process, or all of them, in its own words and with its exit code."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def report(error: BaseException, *, debug: bool) -> int:
    """Print the error, with its traceback if ``debug``, and return the exit code. Passwords in URLs are masked."""
    text, code = describe(error)
    if debug:
        show_traceback(error)
    click.echo(f"Error: {one_line(text)}", err=True)
    return code


def show_traceback(error: BaseException) -> None:
    """Print the traceback to standard error. Passwords in URLs are masked."""
    click.echo(_without_passwords("".join(traceback.format_exception(error)).rstrip()), err=True)


def one_line(text: str) -> str:
    """Return the text in one line. Passwords in URLs are masked."""
    return _without_passwords(" ".join(text.split()))


def is_permanent(error: BaseException) -> bool:
    """Tell whether the same command would end like this again until somebody mends something."""
    return isinstance(_first(error), GwSqlaError)


def describe(error: BaseException) -> tuple[str, int]:
    """Return what to tell people, and the exit code. The most specific class comes first."""
    error = _first(error)
    match error:
        case click.UsageError():
            command = error.ctx.command_path if error.ctx else "gw-sqla"
            return f"{error.format_message()} (see: {command} --help)", _USAGE
        case click.ClickException():
            return error.format_message(), error.exit_code
        case click.Abort() | KeyboardInterrupt():
            return "interrupted", _INTERRUPTED
        case SchemaTooNewError() | WorkerProcessError():
            return str(error), error.exit_code
        case SchemaError() | AccessError() | SessionError() | ResourceError() | UnreachableError():
            return str(error), _FAULT
        case GwSqlaError():
            return str(error), _USAGE
        case DBAPIError():
            return _database_text(getattr(error.orig, "__cause__", None) or error.orig or error), _FAULT
        case asyncpg.PostgresError() | asyncpg.InterfaceError():
            return _database_text(error), _FAULT
        case SQLAlchemyError():
            return f"database: {error}", _FAULT
    return f"unexpected {type(error).__name__}: {error}; --debug shows where", _FAULT


def _first(error: BaseException) -> BaseException:
    """The error itself, or the first of a group: task groups wrap what leaves them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _database_text(error: BaseException) -> str:
    state = getattr(error, "sqlstate", None)
    return f"database: {error or type(error).__name__}" + (f" (SQLSTATE {state})" if state else "")


def _without_passwords(text: str) -> str:
    return _URL_PASSWORD.sub(r"\1:***@", text)
