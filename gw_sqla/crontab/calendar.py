"""Calendar: the minutes at which fields fire, in UTC or by the clock of a time zone.

croniter walks the calendar, on times without a zone; what happens when clocks change is decided here.
At its hours an item fires once for each time that its fields name: a time that the clocks skip fires
at the first minute after the gap, a time that they repeat fires the first time only. An item that
fires in every hour names no hours, it means an interval: it goes on through both changes as the wall
clock shows its minutes, so that ``*/5 * * * *`` neither pauses for the repeated hour nor bunches up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from gw_sqla.crontab.fields import Fields

__all__ = ["MINUTE", "Calendar", "minute_from"]

MINUTE = timedelta(minutes=1)

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR = 9998
"""Nothing fires before or after: room for offsets and steps, inside what a datetime holds."""


def minute_from(time: datetime) -> datetime:
    """Return the first whole minute that is not before the time."""
    floor = time.replace(second=0, microsecond=0)
    return floor if floor == time else floor + MINUTE


@dataclass(frozen=True, slots=True)
class Calendar:
    """When fields fire; ``zone`` None is UTC."""

    fields: Fields
    zone: ZoneInfo | None = None

    def fires(self, start: datetime) -> Iterator[datetime]:
        """Yield each minute at which it fires, in UTC, from ``start`` (included) on; it may never end."""
        start = minute_from(max(start.astimezone(UTC), _FIRST))
        if self.zone is None:
            yield from (wall.replace(tzinfo=UTC) for wall in self._walls(start.replace(tzinfo=None)))
            return
        previous = start - MINUTE
        for instant in self._instants(start, self.zone):
            if instant > previous:  # neither before the start nor a second time that the same gap moved there
                previous = instant
                yield instant

    def _walls(self, start: datetime) -> Iterator[datetime]:
        """The times that the fields name, without a zone, from the start on."""
        from croniter import CroniterBadDateError, croniter

        walk = croniter(self.fields.expression, start - MINUTE)
        while True:
            try:
                wall: datetime = walk.get_next(datetime)
            except CroniterBadDateError:  # such as 30 February: not within 50 years, so never
                return
            if wall.year > _LAST_YEAR:
                return
            yield wall

    def _instants(self, start: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """The times as minutes in UTC, in order; some may lie before the start, or come twice."""
        begin = start.astimezone(zone).replace(tzinfo=None)
        if not self.fields.every_hour:
            yield from (_once(wall, zone) for wall in self._walls(begin))
            return
        if len(_readings(begin, zone)) > 1:
            begin -= timedelta(days=1)  # the second readings of times before the start may still come
        second: list[datetime] = []
        for wall in self._walls(begin):
            readings = _readings(wall, zone)
            if second and readings and readings[0] > second[0]:
                yield from second
                second = []
            yield from readings[:1]
            second += readings[1:]
        yield from second


def _readings(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """The minutes at which clocks in the zone show this time: one, none in a gap, two when it is repeated."""
    candidates = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(minute for minute in candidates if minute.astimezone(zone).replace(tzinfo=None) == wall)


def _once(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first minute at which clocks in the zone show this time, or have skipped it."""
    readings = _readings(wall, zone)
    if readings:
        return readings[0]
    before, after = sorted(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    while after - before > MINUTE:
        middle = before + (after - before) // MINUTE // 2 * MINUTE
        if middle.astimezone(zone).replace(tzinfo=None) > wall:
            after = middle
        else:
            before = middle
    return after
