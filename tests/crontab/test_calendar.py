"""When schedules fire: against a scan of all minutes, and at clock changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gw_sqla import CronItem
from tests.crontab.strategies import MINUTE, Model, minutes, models

DAY = timedelta(days=1)
PARIS = "Europe/Paris"


def fires(item: CronItem, start: datetime, end: datetime) -> list[datetime]:
    """The minutes from the start to the end, which is excluded."""
    return list(takewhile(lambda minute: minute < end, item.fires(start)))


def all_minutes(start: datetime, end: datetime) -> Iterator[datetime]:
    while start < end:
        yield start
        start += MINUTE


@settings(max_examples=80, deadline=None)
@given(models(), minutes())
@example(
    Model("0 0 */2 * 1", *map(frozenset, ([0], [0], range(1, 32, 2), range(1, 13), [1]))),
    datetime(2026, 2, 20, tzinfo=UTC),
)
@example(
    Model("0 0 31 * *", *map(frozenset, ([0], [0], [31], range(1, 13), range(7)))), datetime(2026, 4, 25, tzinfo=UTC)
)
def test_the_next_week_is_what_a_scan_of_its_minutes_finds(model: Model, start: datetime) -> None:
    end = start + 7 * DAY
    wanted = [minute for minute in all_minutes(start, end) if model.fires_at(minute)]
    assert fires(CronItem("a", model.text), start, end) == wanted


@settings(max_examples=100, deadline=None)
@given(models(), minutes())
def test_the_next_time_may_be_far_away(model: Model, start: datetime) -> None:
    item = CronItem("a", model.text)
    times = list(islice(item.fires(start), 5))
    days = (start + n * DAY for n in range(9 * 366))  # 29 February can be 8 years away
    at = [(minute, hour) for hour in sorted(model.hours) for minute in sorted(model.minutes)]
    wanted: list[datetime] = []
    for day in days:
        walls = (day.replace(hour=hour, minute=minute) for minute, hour in at)
        wanted += [wall for wall in walls if wall >= start and model.fires_at(wall)]
        if len(wanted) >= 5:
            break
    assert times[: len(wanted)] == wanted[:5]
    assert len(times) == 5 or not wanted


def test_the_start_is_included_and_need_not_be_a_whole_minute() -> None:
    item = CronItem("a", "* * * * *")
    noon = datetime(2026, 5, 17, 12, tzinfo=UTC)
    assert next(item.fires(noon)) == noon
    assert next(item.fires(noon + timedelta(microseconds=1))) == noon + MINUTE
    assert next(item.fires(noon.astimezone(ZoneInfo("Asia/Tokyo")))) == noon


def test_a_day_that_no_month_has_and_the_end_of_time() -> None:
    assert list(CronItem("a", "0 0 30 2 *").fires(datetime(2026, 1, 1, tzinfo=UTC))) == []
    assert list(CronItem("a", "0 0 1 1 *").fires(datetime(9998, 6, 1, tzinfo=UTC))) == []
    assert next(CronItem("a", "0 0 1 1 *").fires(datetime(1, 1, 1, tzinfo=UTC))) == datetime(1970, 1, 1, tzinfo=UTC)


def local(schedule: str, tz: str, start: datetime, count: int) -> list[str]:
    """The next times as the zone's clocks show them, with their offsets."""
    times = islice(CronItem("a", schedule, tz=tz).fires(start), count)
    return [time.astimezone(ZoneInfo(tz)).strftime("%d %H:%M %z") for time in times]


SPRING = datetime(2026, 3, 28, 20, tzinfo=UTC)  # Paris skips 02:00 to 03:00 on the 29th
AUTUMN = datetime(2026, 10, 24, 20, tzinfo=UTC)  # and has 02:00 to 03:00 twice on the 25th


def test_a_skipped_time_fires_once_at_the_next_valid_minute() -> None:
    assert local("30 2 * * *", PARIS, SPRING, 2) == ["29 03:00 +0200", "30 02:30 +0200"]
    assert local("*/20 2 * * *", PARIS, SPRING, 2) == ["29 03:00 +0200", "30 02:00 +0200"]
    assert local("0,30 1-3 * * *", PARIS, SPRING, 5) == [
        "29 01:00 +0100", "29 01:30 +0100", "29 03:00 +0200", "29 03:30 +0200", "30 01:00 +0200",
    ]  # fmt: skip


def test_a_repeated_time_fires_the_first_time_only() -> None:
    assert local("30 2 * * *", PARIS, AUTUMN, 2) == ["25 02:30 +0200", "26 02:30 +0100"]
    assert local("0,30 1-3 * * *", PARIS, AUTUMN, 6) == [
        "25 01:00 +0200", "25 01:30 +0200", "25 02:00 +0200", "25 02:30 +0200", "25 03:00 +0100", "25 03:30 +0100",
    ]  # fmt: skip
    between = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10, the second time
    assert local("30 2 * * *", PARIS, between, 1) == ["26 02:30 +0100"]


def test_an_interval_goes_on_through_both_changes() -> None:
    spring, autumn = datetime(2026, 3, 29, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    item = CronItem("a", "*/15 * * * *", tz=PARIS)
    for start in (spring, autumn):
        assert list(islice(item.fires(start), 20)) == [start + n * 15 * MINUTE for n in range(20)]
    assert local("30 * * * *", PARIS, autumn, 3) == ["25 02:30 +0200", "25 02:30 +0100", "25 03:30 +0100"]
    second = autumn + timedelta(hours=1, minutes=10)
    assert local("*/30 * * * *", PARIS, second, 2) == ["25 03:00 +0100", "25 03:30 +0100"]


def test_other_changes() -> None:
    half_an_hour = datetime(2024, 10, 5, 14, tzinfo=UTC)  # Lord Howe skips 02:00 to 02:30
    assert local("15 2 * * *", "Australia/Lord_Howe", half_an_hour, 1) == ["06 02:30 +1100"]
    whole_day = datetime(2011, 12, 29, 9, tzinfo=UTC)  # Samoa went from the 29th to the 31st
    assert local("0 12 * * *", "Pacific/Apia", whole_day, 3) == ["29 12:00 -1000", "31 00:00 +1400", "31 12:00 +1400"]
    midnight = datetime(2024, 11, 3, 2, tzinfo=UTC)  # Havana has 00:00 to 01:00 twice (it had: laws change)
    assert local("30 0 * * *", "America/Havana", midnight, 2) == ["03 00:30 -0400", "04 00:30 -0500"]
    assert local("30 * 3 11 *", "America/Havana", midnight, 2) == ["03 00:30 -0400", "03 00:30 -0500"]


@settings(max_examples=60, deadline=None)
@given(
    models(),
    st.sampled_from([PARIS, "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu"]),
    st.sampled_from([datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4, 10, 11)]),
    st.integers(0, 30 * 24 * 60),
)
def test_a_zone_is_a_scan_of_its_wall_clock(model: Model, tz: str, month: datetime, offset: int) -> None:
    """Every reading of the wall clock fires: each time for an interval, else the first time, or after the gap."""
    zone = ZoneInfo(tz)
    start = month + offset * MINUTE
    end = start + 2 * DAY
    wanted = set()
    shown = dict[datetime, datetime]()  # wall clock to the first minute of it
    previous: datetime | None = None
    for minute in all_minutes(start - DAY, end):
        wall = minute.astimezone(zone).replace(tzinfo=None, fold=0)
        skipped = list(all_minutes(previous + MINUTE, wall)) if previous else []
        first = wall not in shown
        shown.setdefault(wall, minute)
        if model.fires_at(wall) and (first or len(model.hours) == 24):
            wanted.add(minute)
        if len(model.hours) < 24 and any(model.fires_at(time) for time in skipped):
            wanted.add(minute)
        previous = wall
    assert fires(CronItem("a", model.text, tz=tz), start, end) == sorted(minute for minute in wanted if minute >= start)


@pytest.mark.parametrize("tz", ["Mars/Olympus", "", "../etc/passwd", "/etc/localtime", "Europe", 5])
def test_what_is_no_time_zone(tz: str) -> None:
    with pytest.raises(Exception, match="tz: "):
        CronItem("a", "* * * * *", tz=tz)
