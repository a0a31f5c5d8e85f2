"""A call: what one method of a repository asks, as a generator, so that sync and async sessions share it.

It checks its arguments, yields statements, is sent the rows of each, and returns the method's result. It
knows no session, no driver and no event loop; `gw_sqla.calls.in_session` runs it. So the repositories for
``AsyncSession`` and ``Session`` share all but one line of each method.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from sqlalchemy.engine import Row
from sqlalchemy.sql.base import Executable

from gw_sqla.jobs.stored_job import JobRow

__all__ = ["Ask", "Call", "job_rows"]

T = TypeVar("T")


class Ask(NamedTuple):
    """A statement to run in the caller's transaction; a command has no rows."""

    statement: Executable
    parameters: dict[str, Any] | None = None
    is_command: bool = False


Call: TypeAlias = Generator[Ask, Sequence[Row[Any]], T]


def job_rows(rows: Sequence[Any]) -> list[JobRow]:
    """Return the jobs; the empty row with which Graphile Worker's functions say "none" is left out."""
    return [JobRow(*row) for row in rows if row[0] is not None]
