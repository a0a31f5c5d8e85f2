"""Ranges of numbers and of times, as a filter holds them.

Numbers are whole, and PostgreSQL's times have microseconds, so one form does: ``least`` and ``most`` are within,
``start`` is within and ``end`` is not. ``>5`` and ``>=6`` are the same value.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from gw_sqla.errors import InvalidFilterError

__all__ = ["NumberRange", "TimePoint", "TimeRange"]

TimePoint: TypeAlias = datetime | timedelta
"""A time with a zone; or one relative to now, the time at which the transaction began: negative is before it."""


@dataclass(frozen=True, slots=True)
class NumberRange:
    """Whole numbers from ``least`` to ``most``, both within; None is without bound, but not both."""

    least: int | None = None
    most: int | None = None

    def __post_init__(self) -> None:
        for bound in (self.least, self.most):
            if bound is not None and (not isinstance(bound, int) or isinstance(bound, bool)):
                raise InvalidFilterError(str(bound), f"{bound!r} is not a whole number")
        if self.least is None and self.most is None:
            raise InvalidFilterError("", "a range needs a bound: leave it out to have all")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise InvalidFilterError(f"{self.least}..{self.most}", "nothing is in this range: the lower bound first")


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Times from ``start`` on, and before ``end``; None is without bound, but not both."""

    start: TimePoint | None = None
    end: TimePoint | None = None

    def __post_init__(self) -> None:
        if self.start is None and self.end is None:
            raise InvalidFilterError("", "a range needs a bound: leave it out to have all")
        object.__setattr__(self, "start", _checked(self.start))
        object.__setattr__(self, "end", _checked(self.end))
        start, end = self.start, self.end
        is_empty = (isinstance(start, datetime) and isinstance(end, datetime) and start >= end) or (
            isinstance(start, timedelta) and isinstance(end, timedelta) and start >= end
        )
        if is_empty:
            raise InvalidFilterError(f"{start}..{end}", "nothing is in this range: the earlier time first")


_LONGEST = timedelta(days=365_000)


def _checked(point: object) -> TimePoint | None:
    if point is None:
        return None
    if isinstance(point, timedelta):
        if abs(point) > _LONGEST:
            raise InvalidFilterError(str(point), "is further from now than a thousand years")
        return point
    if not isinstance(point, datetime):
        raise InvalidFilterError(str(point), f"must be a datetime or a timedelta, not {type(point).__name__}")
    if point.utcoffset() is None:
        raise InvalidFilterError(str(point), "has no time zone; use for example datetime.now(timezone.utc)")
    try:
        return point.astimezone(UTC)
    except OverflowError as error:
        raise InvalidFilterError(str(point), "is beyond the years 1 to 9999 in UTC") from error
