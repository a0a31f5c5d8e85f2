"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gw_sqla.statements.quoting import literal

__all__ = ["Finding", "Verdict", "of_many", "sql_text"]

_NAMED = 5
"""How many are named where there may be many."""


class Verdict(StrEnum):
    """What is to be made of it."""

    OK = "ok"
    WARNING = "warning"
    """Nothing has broken; it may, or it costs more than it should."""
    WRONG = "wrong"
    """Jobs do not run, or will not, until somebody repairs it."""
    UNKNOWN = "unknown"
    """It could not be looked at; the text says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The name of a check, its verdict, a sentence with the number behind it, that number, and what repairs it.

    ``repair`` is a command, SQL, or a sentence where neither does; None where nothing is to be repaired.
    """

    check: str
    verdict: Verdict
    found: str
    number: float | None = None
    repair: str | None = None


def sql_text(text: str) -> str:
    """Return the text as SQL that can be copied from a terminal: what would act on one is escaped."""
    if text.isprintable():
        return literal(text).strip()
    parts = (each if each.isprintable() and each not in "\\'" else f"\\U{ord(each):08x}" for each in text)
    return f"E'{''.join(parts)}'"


def of_many(names: list[str]) -> str:
    """Return the first of them, and how many there are beside."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
