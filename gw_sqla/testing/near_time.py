"""Within: a time near another, for what is expected of a ``run_at``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from gw_sqla.crontab.options import phrase
from gw_sqla.errors import JobTesterError

__all__ = ["Within", "within"]


class Within:
    """A time near another; made by `within`."""

    def __init__(self, duration: timedelta, of: datetime | None) -> None:
        self._duration = duration
        self._of = of

    def fits(self, value: object, now: datetime) -> bool:
        """Tell whether the value is a time that near; ``now`` is the kit's time."""
        return isinstance(value, datetime) and abs(value - (self._of or now)) <= self._duration

    def __repr__(self) -> str:
        return f"within {self._duration} of {'now' if self._of is None else self._of}"


def within(duration: timedelta | str, *, of: datetime | None = None) -> Any:
    """Return what a ``run_at`` is compared with that may be as far as ``duration`` from a time, before or after it.

    Parameters: ``duration``, a timedelta or a phrase as in a crontab, ``"1h"``, ``"2d12h"``; ``of``, the time, with a
    time zone; by default the kit's time when they are compared. Raises JobTesterError for anything else.
    """
    if isinstance(duration, str):
        if not re.fullmatch(r"(?:[0-9]+[smhdw])+", duration):
            raise JobTesterError(f"within: {duration!r} must be a duration such as 1w2d3h4m5s, or a timedelta")
        duration = phrase(duration)
    if not isinstance(duration, timedelta) or duration < timedelta(0):
        raise JobTesterError(f"within: must be a duration, is {duration!r}")
    if of is not None and (not isinstance(of, datetime) or of.tzinfo is None):
        raise JobTesterError(f"within: of: must be a datetime with a time zone, is {of!r}")
    return Within(duration, of)
