"""Errors of SQLAlchemy and of database drivers, without the values that they quote.

PostgreSQL's detail shows rows, its message the value that it could not read, or whatever a user's function raises; a
driver shows the argument that it could not send; SQLAlchemy shows statements, parameters and identities. Those are
often the payload. So of an error of the server its class, its SQLSTATE and names are told: of constraint, table,
column and type, of the function that raised it and the line in it. Its message is told only where the routine of
PostgreSQL that wrote it knows nothing but names. (By the SQLSTATE it could not be known: a function may raise any, with
any text.) Of what a library says itself the beginning is told, up to what may be a value.

Drivers are known by the module of a class, as those that are not installed cannot be imported.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError, StatementError

__all__ = ["class_name", "is_of_library", "quotable_texts", "reduced"]

_LIBRARIES = frozenset({"asyncpg", "psycopg", "psycopg2", "psycopg_binary", "psycopg_c", "sqlalchemy"})

_OF_NAMES = frozenset(
    {
        "ClientAuthentication",  # no entry in pg_hba.conf
        "ExecWithCheckOptions",  # row level security
        "InitPostgres",  # there is no such database
        "InitProcess",  # too many clients
        "InitializeSessionUserId",  # there is no such role
        "LookupExplicitNamespace",  # there is no such schema
        "ParseFuncOrColumn",  # there is no such function
        "PreventCommandIfReadOnly",
        "ProcessInterrupts",  # timeouts, administrators
        "aclcheck_error",  # permission denied, must be owner of
        "auth_failed",
        "checkInsertTargets",  # there is no such column to insert into
        "parserOpenTable",  # there is no such table
    }
)
"""Functions in PostgreSQL's source whose messages hold names at most."""

_RAISED = re.compile(r"PL/pgSQL function ([\w.]{1,130})(?:\([^()\n]*\))? line ([0-9]{1,9}) at RAISE")
_NAMES = (("schema", "schema_name"), ("table", "table_name"), ("column", "column_name"), ("type", "data_type_name"))
_LONGEST_NAME = 63
_MAY_BE_VALUE = re.compile(r"""(?<!\S)['"<\[{+\-\d]|\((?!\))|\bgot\b|\n""")
_TOLD = frozenset({"InterfaceError", "InternalClientError", "ProgrammingError"})
"""Classes, of whichever driver, of which the beginning is told: of how the driver is used or set."""
_NO_CA_FILE = re.compile(r'root certificate file "[^"\n]*" does not exist or cannot be accessed')
_PART_OF_URL = re.compile(r"""(host name|resolve host) ["'].*@.*["']|(invalid (?:integer value|port number:)) ".*?\"""")
"""A URL taken apart in the wrong place: what libpq takes for a host or a port is a part of the password then."""
_FIELDS_OF_TEXT = ("message", "detail", "hint", "context", "query", "internal_query")


def is_of_library(error: BaseException) -> bool:
    """Tell whether an error is of SQLAlchemy or a driver: by its class, or, of a value, by where it was raised.

    What the standard library raises is whose who has called it.
    """
    if isinstance(error, SQLAlchemyError) or any(_is_library(cls.__module__) for cls in type(error).__mro__):
        return True
    if not isinstance(error, ValueError | LookupError | ArithmeticError) or isinstance(error, OSError):
        return False
    trace, raised_in = error.__traceback__, None
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__")
        raised_in = raised_in if _top_package(module) in sys.stdlib_module_names else module
        trace = trace.tb_next
    return _is_library(raised_in)


def class_name(error: BaseException) -> str:
    """Return the name of an error's class, whatever a metaclass makes of it."""
    name: str = type.__dict__["__name__"].__get__(type(error))
    return name


def reduced(error: BaseException) -> str:
    """Return what may be told of an error of a library, beside the name of its class."""
    inner = _beneath(error)
    if inner is not error:
        said = reduced(inner) if is_of_library(inner) else str(inner)
        return f"{class_name(inner)}: {said}" if said else class_name(inner)
    state = _field(error, "sqlstate") or getattr(error, "pgcode", None)
    if not state:
        return _beginning(error)
    facts = ", ".join([f"SQLSTATE {state}", *_names(error)])
    message = _field(error, "message")
    return f"{message} ({facts})" if message and _field(error, "server_source_function") in _OF_NAMES else facts


def quotable_texts(error: BaseException) -> Iterator[str]:
    """Yield the texts of a library's error that another's message may quote, whole or in part."""
    yield str(error)
    yield repr(error)
    yield from (arg for arg in error.args if isinstance(arg, str))
    yield from filter(None, (_field(error, name) for name in _FIELDS_OF_TEXT))
    if isinstance(error, StatementError):
        yield from filter(None, (error.statement, repr(error.params) if error.params else None))


def _is_library(module: object) -> bool:
    return _top_package(module) in _LIBRARIES


def _top_package(module: object) -> str:
    return module.partition(".")[0] if isinstance(module, str) else ""


def _beneath(error: BaseException) -> BaseException:
    """What SQLAlchemy has wrapped, of asyncpg twice; else the error itself."""
    if isinstance(error, StatementError) and error.orig is not None:
        error = error.orig
    if error.__cause__ is not None and type(error).__module__.startswith("sqlalchemy.dialects."):
        return error.__cause__
    return error


def _field(error: BaseException, name: str) -> str | None:
    """Return a field of a server's error, by asyncpg's name for it."""
    diag = getattr(error, "diag", None)
    if diag is None:
        value = getattr(error, name, None)
    else:
        of_psycopg = {
            "data_type_name": "datatype_name",
            "message": "message_primary",
            "detail": "message_detail",
            "hint": "message_hint",
            "server_source_function": "source_function",
        }
        value = getattr(diag, of_psycopg.get(name, name), None)
    return value if isinstance(value, str) else None


def _names(error: BaseException) -> list[str]:
    found = [(kind, _field(error, field)) for kind, field in (*_NAMES, ("constraint", "constraint_name"))]
    names = [f"{kind} {name[:_LONGEST_NAME]}" for kind, name in found if name]
    if raised := _RAISED.match(_field(error, "context") or ""):
        names.append(f"function {raised[1]} line {raised[2]}")
    return names


def _beginning(error: BaseException) -> str:
    """Return what a library says itself, up to what may be a value; what says that a value is wrong, not at all."""
    text = str(error.args[0]) if error.args else ""
    if class_name(error) == "OperationalError":  # libpq's, of a connection: there is no row in it
        return _PART_OF_URL.sub(lambda part: f"{part[1] or part[2]} ...", text.partition("\n")[0])
    if isinstance(error, SQLAlchemyError) or not _TOLD.isdisjoint(cls.__name__ for cls in type(error).__mro__):
        found = _MAY_BE_VALUE.search(text, _end_of_file_name(text))
        return f"{text[: found.start()].rstrip()} ..." if found else text
    return ""


def _end_of_file_name(text: str) -> int:
    found = _NO_CA_FILE.match(text)
    return found.end() if found else 0
