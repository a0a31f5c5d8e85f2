"""KitClock: what time it is for the jobs of a test.

PostgreSQL's ``now()`` is the time at which the transaction began, and a test is one transaction: nothing would come
due in it. So claims, and the waits of failed jobs, are given a time as their parameter: this clock's. It goes with the
machine's, never before the database's, and `travel` sets it forward or back; nothing sleeps. What handlers ask of
Python (``datetime.now``) it does not change: where that matters, a library such as time-machine moves both.

Rejected: to move the jobs' ``run_at`` instead. Every time that a test has noted would be wrong afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from gw_sqla.errors import JobTesterError

__all__ = ["KitClock", "check_time"]


def check_time(argument: str, value: object) -> datetime:
    """Return the time; raises JobTesterError for one without a time zone, or that is none."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise JobTesterError(f"{argument}: must be a datetime with a time zone, is {value!r}")
    return value


class KitClock:
    """``start``: it stands still there; None: it goes. ``database_now`` is set when there is a job."""

    def __init__(self, start: datetime | None) -> None:
        self._start = None if start is None else check_time("now", start).astimezone(UTC)
        self._travelled = timedelta(0)
        self.database_now: datetime | None = None

    def now(self) -> datetime:
        """Return the time."""
        if self._start is not None:
            return self._start + self._travelled
        machine = datetime.now(UTC)
        return max(machine, self.database_now or machine) + self._travelled

    def travel(self, by: timedelta | None, to: datetime | None, parts: Mapping[str, float]) -> datetime:
        """Move, by a duration, or its parts, or to a time; return the new one.

        Raises JobTesterError, and does not move, for what is no duration, and for times that Python cannot hold.
        """
        try:
            duration = timedelta(**parts)
            if [by is not None, to is not None, bool(duration)].count(True) != 1:
                raise JobTesterError(
                    "travel: give a timedelta, or its parts (hours=1), or a time (to=...), one of them"
                )
            if by is not None and not isinstance(by, timedelta):
                raise JobTesterError(f"travel: must be a timedelta, is {by!r}")
            way = (check_time("to", to) - self.now()) if to is not None else by or duration
            arrived = self.now() + way
        except (TypeError, ValueError, OverflowError) as error:
            raise JobTesterError(f"travel: {error}") from error
        self._travelled += way
        return arrived
