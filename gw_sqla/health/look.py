"""How a check looks: in a short transaction of its own, for a bounded time, and saying what it may not see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.base import Executable

from gw_sqla.crontab import CronItem
from gw_sqla.error_texts.error_text import message_text
from gw_sqla.errors import SchemaMissingError
from gw_sqla.health.finding import Finding, Verdict
from gw_sqla.schema.rights import RoleKind
from gw_sqla.statements import health
from gw_sqla.statements.quoting import quoted

__all__ = ["Check", "Look", "looked"]

_SECONDS = 10.0
"""For which one statement may take."""
_FORBIDDEN = "42501"
_CANCELED = "57014"
_MISSING = frozenset({"3F000", "42P01"})


@dataclass
class Look:
    """What is looked at; ``now`` is the server's, from the first check on."""

    connection: Connection
    schema: str
    as_: RoleKind
    items: Sequence[CronItem] | None
    now: datetime | None = None

    def rows(self, statement: Executable, **parameters: object) -> Sequence[Row[Any]]:
        """Return the rows of a statement. Raises database errors."""
        return self.connection.execute(statement, parameters).all()

    def row(self, statement: Executable, **parameters: object) -> Any:
        """Return the one row of a statement. Raises database errors."""
        return self.connection.execute(statement, parameters).one()


@dataclass(frozen=True, slots=True)
class Check:
    """A check: its name, what makes it, and the tables whose rows it must see to say anything."""

    name: str
    make: Callable[[Look], Iterable[Finding]]
    tables: tuple[str, ...] = ()


def looked(check: Check, look: Look) -> list[Finding]:
    """Return what the check finds, or one finding that it could not be made, and why.

    Raises database errors that end the connection.
    """
    name = check.name
    try:
        with look.connection.begin():
            look.row(health.bound(look.schema), milliseconds=str(round(_SECONDS * 1000)))
            if hidden := _hidden(check, look):
                text = f"row level security hides the rows of {hidden} from this role"
                return [Finding(name, Verdict.UNKNOWN, text, repair="see the rights")]
            return list(check.make(look))
    except SchemaMissingError as error:
        return [Finding(name, Verdict.UNKNOWN, str(error))]
    except DBAPIError as error:
        sqlstate = getattr(error.orig, "sqlstate", None)
        if sqlstate == _FORBIDDEN:
            return [Finding(name, Verdict.UNKNOWN, "this role may not look at it", repair="connect as the owner")]
        if sqlstate == _CANCELED:
            return [Finding(name, Verdict.UNKNOWN, f"the database had no answer within {_SECONDS:g} s", _SECONDS)]
        if sqlstate in _MISSING:
            return [Finding(name, Verdict.UNKNOWN, f"schema {look.schema!r} has not all that is looked at")]
        if error.connection_invalidated:
            raise
        return [Finding(name, Verdict.UNKNOWN, f"the database answered: {message_text(error)}")]


def _hidden(check: Check, look: Look) -> str:
    if not check.tables:
        return ""
    rows = look.rows(health.hidden_tables(look.schema), namespace=quoted(look.schema), tables=[*check.tables])
    return ", ".join(row.name for row in rows)
