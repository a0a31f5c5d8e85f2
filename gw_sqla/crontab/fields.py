"""The five fields of a schedule: text to the numbers that it means.

Graphile Worker's grammar: numbers, ``a-b`` with b > a, ``*``, ``*/n`` counted from the field's least,
and comma lists of these; day of week 7 is Sunday, as 0 is. Beyond it: names of months and days,
``a-b/n`` and ``@hourly`` with its kin, each with a warning that Node.js does not know it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gw_sqla.crontab.findings import Findings

__all__ = ["FIELDS", "Fields", "read_fields"]

_NOT_FOR_NODE = "Graphile Worker for Node.js does not understand"

_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_PART = re.compile(r"(?:(\*)|([0-9]+|[A-Za-z]+)(?:-([0-9]+|[A-Za-z]+))?)(?:/([0-9]+))?")
_FOR_NODE = re.compile(r"\*(?:/[0-9]+)?|[0-9]+(?:-[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five: its name, its numbers, and the names for these."""

    name: str
    least: int
    most: int
    names: Mapping[str, int]
    wraps: bool = False
    """Whether ``most`` is another way to say ``least``, as 7 and 0 for Sunday."""

    @property
    def all(self) -> range:
        """Every number once."""
        return range(self.least, self.most if self.wraps else self.most + 1)


_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

FIELDS = (
    Field("minute", 0, 59, {}),
    Field("hour", 0, 23, {}),
    Field("day of month", 1, 31, {}),
    Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    Field("day of week", 0, 7, {name: number for number, name in enumerate(_DAYS)}, wraps=True),
)


@dataclass(frozen=True, slots=True)
class Fields:
    """The numbers of each field. If both day fields leave days out, one of them is enough."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    @property
    def every_hour(self) -> bool:
        """Whether it fires at no hours in particular."""
        return len(self.hours) == 24

    @property
    def expression(self) -> str:
        """The fields for croniter: ``*`` for all, else a list. A full list would change what its day fields mean."""
        numbers = (self.minutes, self.hours, self.days, self.months, self.weekdays)
        return " ".join(
            "*" if len(have) == len(field.all) else ",".join(map(str, sorted(have)))
            for field, have in zip(FIELDS, numbers, strict=True)
        )


def read_fields(words: list[tuple[int, str]], findings: Findings) -> Fields | None:
    """Read five words, or a nickname, each with its column; None if there is a fault in them."""
    if len(words) == 1:
        column, nickname = words[0]
        expansion = _NICKNAMES.get(nickname.lower())
        if expansion is None:
            findings.error(column, f"{nickname} is not known: write five fields, or one of {', '.join(_NICKNAMES)}")
            return None
        findings.warn(column, f"{_NOT_FOR_NODE} {nickname}: write {expansion}")
        words = [(column, word) for word in expansion.split()]
    numbers = [_read(field, word, column, findings) for field, (column, word) in zip(FIELDS, words, strict=True)]
    return Fields(*(have for have in numbers if have)) if all(numbers) else None


def _read(field: Field, word: str, column: int, findings: Findings) -> frozenset[int]:
    """The numbers of a comma list; none if a part of it is at fault."""
    numbers: set[int] = set()
    sound = True
    for part in word.split(","):
        try:
            low, high, step = _part(field, part)
        except _Fault as fault:
            findings.error(column, f"{field.name}: {fault}")
            sound = False
        else:
            numbers.update(range(low, high + 1, step))
            if not _FOR_NODE.fullmatch(part):
                plain = ",".join(str(number) for number in range(low, high + 1, step))
                findings.warn(column, f"{_NOT_FOR_NODE} {part}: write {plain}")
        column += len(part) + 1
    return frozenset(number if number in field.all else field.least for number in numbers if sound)


class _Fault(Exception):  # noqa: N818 - never seen outside this module
    """What is wrong with a part, and the fix."""


def _part(field: Field, part: str) -> tuple[int, int, int]:
    """The first and last number of a part and its step."""
    match = _PART.fullmatch(part)
    if match is None:
        raise _Fault(f"{part!r} is not a number, a-b, *, */n or a-b/n" if part else "a comma has nothing on one side")
    star, first, last, divisor = match.groups()
    step = 1 if divisor is None else _number(divisor)
    if step == 0:
        raise _Fault(f"{part}: the step must be 1 or more")
    if star:
        return field.least, field.all[-1], step
    low = _value(field, first)
    if last is None:
        if divisor is not None:
            raise _Fault(f"{part}: a step needs a range: write {first}-{field.all[-1]}/{step}")
        return low, low, 1
    high = _value(field, last)
    if field.wraps and high == field.least and not last.isdigit():
        high = field.most  # fri-sun
    if high <= low:
        fix = f"{low}" if low == high else f"{low}-{field.all[-1]},{field.least}-{high}"
        raise _Fault(f"{part} does not go upwards: write {fix}")
    return low, high, step


def _value(field: Field, text: str) -> int:
    if not text.isdigit():
        if text.lower() in field.names:
            return field.names[text.lower()]
        raise _Fault(f"{text!r} is not a number; its names are {', '.join(field.names) or 'none'}")
    number = _number(text)
    if not field.least <= number <= field.most:
        raise _Fault(f"{text} is not one of {field.least} to {field.most}")
    return number


def _number(digits: str) -> int:
    return int(digits.lstrip("0")[:9] or "0")  # more digits are too large anyway, and int() refuses thousands
