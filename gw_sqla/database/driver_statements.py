"""What a worker's statements are for the driver, and who runs them: SQL compiled once, arguments in their order.

Beside `gw_sqla.database.worker_connection` the test kit runs them, on a connection that the test lends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from sqlalchemy import URL
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.database.array_literals import with_arrays_as_text

__all__ = ["Statements", "for_driver", "sql_for_driver"]

_DIALECT = URL.create("postgresql+asyncpg").get_dialect()()


class _Compiled(NamedTuple):
    """The SQL for the driver, the names of its parameters in their order, and what writes those that are arrays."""

    sql: str
    names: tuple[str, ...]
    writers: dict[int, Callable[[Sequence[Any]], str]]


@lru_cache
def _compiled(statement: ClauseElement) -> _Compiled:
    compiled: Any = statement.compile(dialect=_DIALECT)
    sql, writers = with_arrays_as_text(str(compiled))
    return _Compiled(sql, tuple(compiled.positiontup or ()), writers)


def sql_for_driver(statement: ClauseElement) -> str:
    """Return the SQL of a statement without parameters."""
    return _compiled(statement).sql


def for_driver(statement: ClauseElement, parameters: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return the SQL for asyncpg, and its arguments."""
    sql, names, writers = _compiled(statement)
    arguments = [parameters[name] for name in names]
    for place, write in writers.items():
        if arguments[place] is not None:
            arguments[place] = write(arguments[place])
    return sql, arguments


class Statements(Protocol):
    """Where the statements of a worker pool run: a `WorkerConnection`, or what a test lends (`gw_sqla.testing`)."""

    async def fetch(self, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        """Run one statement and return its rows."""
        ...

    async def fetch_shielded(self, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        """The same for a caller in a shielded scope."""
        ...

    async def lost_have_ended(self) -> bool:
        """Tell whether what was lost of it can lock nothing any more."""
        ...

    async def cut_off(self) -> None:
        """End the statement that is under way."""

    async def close(self) -> None:
        """Give it up."""
