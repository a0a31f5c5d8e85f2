"""Times as a filter's text has them: ``now``, ``-1h30m`` and ``2d`` from now, ``2026-01-01``, ``2026-01-01T12:00Z``.

A relative time is a point, not an age: ``created:<-1h`` is older than an hour, ``run-at:<1h`` is due within one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from gw_sqla.filters.ranges import TimePoint

__all__ = ["parse_time", "render_time"]

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
    "us": timedelta(microseconds=1),
}
_RELATIVE = re.compile(r"([+-]?)((?:\d{1,9}(?:w|d|h|ms|us|m|s))+)", re.ASCII)
_AMOUNT = re.compile(r"(\d+)(w|d|h|ms|us|m|s)", re.ASCII)
_ABSOLUTE = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt]\d\d:\d\d.*)?", re.ASCII)


def parse_time(text: str) -> TimePoint:
    """Return the point; a date is its first moment, in UTC where no zone is given. Raises ValueError."""
    if text == "now":
        return timedelta(0)
    if relative := _RELATIVE.fullmatch(text):
        try:
            span = sum((int(count) * _UNITS[unit] for count, unit in _AMOUNT.findall(relative[2])), timedelta(0))
        except OverflowError as error:
            raise ValueError("is further from now than a thousand years") from error
        return -span if relative[1] == "-" else span
    if not _ABSOLUTE.fullmatch(text):
        raise ValueError("is no time: now, -1h (an hour ago), 30m (in half an hour), 2026-01-01, 2026-01-01T12:00Z")
    try:
        point = datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise ValueError(f"is no time: {error}") from error
    return point if point.tzinfo else point.replace(tzinfo=UTC)


def render_time(point: TimePoint) -> str:
    """Return the text of it."""
    if isinstance(point, datetime):
        text = point.astimezone(UTC).replace(tzinfo=None).isoformat()
        return text.removesuffix("T00:00:00") if text.endswith("T00:00:00") else f"{text}Z"
    if not point:
        return "now"
    text, rest = ("-" if point < timedelta(0) else ""), abs(point)
    for unit, span in _UNITS.items():
        count, rest = divmod(rest, span)
        text += f"{count}{unit}" if count else ""
    return text
