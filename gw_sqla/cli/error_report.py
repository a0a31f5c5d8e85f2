"""Any error to one line on standard error and an exit code."""

from __future__ import annotations

import asyncpg
import click
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gw_sqla.cli.terminal_text import printable, printable_lines
from gw_sqla.error_texts.error_text import error_text, message_text, printable_text, traceback_text
from gw_sqla.errors import AccessError, GwSqlaError, ResourceError, SchemaError, SchemaTooNewError, SessionError

__all__ = ["UnreachableError", "WorkerProcessError", "describe", "is_permanent", "one_line", "report", "show_traceback"]

_USAGE = 2
_FAULT = 1
_INTERRUPTED = 130


class UnreachableError(Exception):
    """No connection to the database could be made, or it broke; the text says where and why."""


class WorkerProcessError(Exception):
    """What ended a worker process, or all of them, in its own words and with its exit code."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def report(error: BaseException, *, debug: bool) -> int:
    """Print the error, with its traceback if ``debug``, and return the exit code. Secrets are masked."""
    text, code = describe(error)
    if debug:
        show_traceback(error)
    click.echo(f"Error: {one_line(text)}", err=True)
    return code


def show_traceback(error: BaseException) -> None:
    """Print the traceback to standard error. Secrets are masked, as in a log."""
    text = printable_lines(printable_text(traceback_text(error)))
    click.echo(f"Traceback (most recent call last):\n{text}", err=True)


def one_line(text: str) -> str:
    """Return the text in one line, as a terminal may show it. Secrets are masked."""
    return printable(" ".join(printable_text(text).split()))


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
        case DBAPIError(connection_invalidated=True):
            return f"the connection to the database was lost: {message_text(error)}", _FAULT
        case DBAPIError():
            return f"database: {message_text(error)}", _FAULT
        case OSError(strerror=str(reason)):  # of what is printed: others are UnreachableError and ConfigurationError
            return reason, _FAULT
        case asyncpg.PostgresError() | asyncpg.InterfaceError() | SQLAlchemyError():
            return f"database: {error_text(error)}", _FAULT
    return f"unexpected {error_text(error)}; --debug shows where", _FAULT


def _first(error: BaseException) -> BaseException:
    """The error itself, or the first of a group: task groups wrap what leaves them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
