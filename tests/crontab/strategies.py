"""Generators of schedules and cron items, and what Graphile Worker's rules mean, said in the simplest way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from gw_sqla import CronItem, JobKeyMode

MINUTE = timedelta(minutes=1)

Numbers = frozenset[int]


@dataclass(frozen=True)
class Model:
    """A schedule's text and the numbers that it means."""

    text: str
    minutes: Numbers
    hours: Numbers
    days: Numbers
    months: Numbers
    weekdays: Numbers

    def fires_at(self, wall: datetime) -> bool:
        """Tell whether it fires at this minute, as the contract says it."""
        if not (wall.minute in self.minutes and wall.hour in self.hours and wall.month in self.months):
            return False
        day, weekday = wall.day in self.days, wall.isoweekday() % 7 in self.weekdays
        both_restricted = len(self.days) < 31 and len(self.weekdays) < 7
        return day or weekday if both_restricted else day and weekday


def _part(least: int, most: int) -> st.SearchStrategy[tuple[str, Numbers]]:
    """One part of the peers' grammar; ``most`` 7 is the day of week."""
    wrapped = 6 if most == 7 else most
    number = st.integers(least, most)

    def ranged(low: int, high: int) -> tuple[str, Numbers]:
        return f"{low}-{high}", frozenset(n % 7 if most == 7 else n for n in range(low, high + 1))

    return st.one_of(
        number.map(lambda n: (str(n), frozenset({n % 7 if most == 7 else n}))),
        number.map(lambda n: (f"0{n}", frozenset({n % 7 if most == 7 else n}))),
        st.tuples(number, number).filter(lambda ends: ends[0] < ends[1]).map(lambda ends: ranged(*ends)),
        st.integers(1, 70).map(lambda n: (f"*/{n}", frozenset(range(least, wrapped + 1, n)))),
        st.just(("*", frozenset(range(least, wrapped + 1)))),
    )


def _field(least: int, most: int) -> st.SearchStrategy[tuple[str, Numbers]]:
    some = st.lists(_part(least, most), min_size=1, max_size=3)
    return some.map(
        lambda parts: (",".join(text for text, _ in parts), frozenset().union(*(numbers for _, numbers in parts)))
    )


def models() -> st.SearchStrategy[Model]:
    """Schedules in the grammar that Node.js has too."""
    fields = st.tuples(_field(0, 59), _field(0, 23), _field(1, 31), _field(1, 12), _field(0, 7))
    return fields.map(lambda five: Model(" ".join(text for text, _ in five), *(numbers for _, numbers in five)))


def minutes(first: int = 2020, last: int = 2040) -> st.SearchStrategy[datetime]:
    """Whole minutes in UTC, some of them at the ends of days, months and years."""
    some = st.datetimes(datetime(first, 1, 1), datetime(last, 12, 31))
    return some.map(lambda time: time.replace(second=0, microsecond=0, tzinfo=UTC))


_NAMES = st.from_regex(r"[_a-zA-Z][-_a-zA-Z0-9]{0,20}", fullmatch=True)
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def items(draw: st.DrawFn) -> CronItem:
    """Cron items that a line of a crontab can express, with what only gw_sqla has."""
    nicknames = st.sampled_from(["@hourly", "@daily", "@weekly", "@monthly", "@yearly"])
    named = st.sampled_from(["0 4 * jan-mar mon-fri", "10-50/20 */2 1,15 * sun", "* * * feb,DEC Sat"])
    key = draw(st.none() | _TEXT)
    return CronItem(
        draw(st.from_regex(r"[_a-zA-Z][_a-zA-Z0-9:/-]{0,20}", fullmatch=True)),
        draw(models().map(lambda model: model.text) | nicknames | named),
        payload=draw(st.none() | st.dictionaries(_TEXT, _JSON, max_size=3)),
        fill=draw(st.timedeltas(timedelta(0), timedelta(days=4000)).map(lambda fill: fill // MINUTE * MINUTE / 60)),
        id=draw(st.none() | _NAMES),
        tz=draw(st.sampled_from([None, "UTC", "Europe/Paris", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])),
        queue_name=draw(st.none() | st.from_regex(r"[-a-zA-Z0-9_:]{1,20}", fullmatch=True)),
        max_attempts=draw(st.none() | st.integers(1, 32767)),
        job_key=key,
        job_key_mode=draw(st.sampled_from([None, JobKeyMode.REPLACE, JobKeyMode.PRESERVE_RUN_AT])) if key else None,
        priority=draw(st.none() | st.integers(-32768, 32767)),
        flags=draw(st.none() | st.lists(_TEXT, min_size=1, max_size=3)),
    )
