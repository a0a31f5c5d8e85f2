"""Writes a filter's text form, which `gw_sqla.filters.parse` reads as an equal value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from gw_sqla.filters.fields import Choice, FilterFields
from gw_sqla.filters.ranges import NumberRange, TimePoint, TimeRange
from gw_sqla.filters.times import render_time
from gw_sqla.filters.words import quoted

__all__ = ["render"]

_TICK = timedelta(microseconds=1)


def render(given: FilterFields) -> str:
    """Return the text form, its words and values in a fixed order."""
    return " ".join(_words(given))


def _words(given: FilterFields) -> Iterator[str]:
    if given.states:
        yield "state:" + ",".join(sorted(given.states))
    yield from _choice("task", given.tasks)
    yield from _choice("queue", given.queues)
    yield from _choice("key", given.keys)
    yield from _choice("locked-by", given.locked_by)
    for field, numbers in (("priority", given.priority), ("attempts", given.attempts)):
        if numbers is not None:
            yield f"{field}:{_numbers(numbers)}"
    yield from (f"flag:{quoted(flag)}" for flag in sorted(given.flags))
    yield from (f"-flag:{quoted(flag)}" for flag in sorted(given.without_flags))
    for field, times in (("created", given.created), ("run-at", given.run_at)):
        if times is not None:
            yield f"{field}:{_times(times)}"
    if given.has_error is not None:
        yield "error:*" if given.has_error else "-error:*"
    yield from (f"error:{quoted(text)}" for text in sorted(given.errors))
    yield from (f"-error:{quoted(text)}" for text in sorted(given.without_errors))
    for test in given.payload:
        path = ".".join(quoted(step, is_step=True) for step in test.path)
        value = "*" if test.value is None else quoted(test.value)
        yield f"{'-' if test.is_negated else ''}payload.{path}:{value}"
    if isinstance(given.ids, NumberRange):
        yield f"id:{_numbers(given.ids)}"
    elif given.ids is not None:
        yield "id:" + ",".join(str(number) for number in sorted(given.ids))


def _choice(field: str, choice: Choice | None) -> Iterable[str]:
    if choice is None:
        return []
    values = ",".join(quoted(name) for name in sorted(choice.names)) or "*"
    return [f"{'-' if choice.is_negated else ''}{field}:{values}"]


def _numbers(numbers: NumberRange) -> str:
    if numbers.least is None:
        return f"<={numbers.most}"
    if numbers.most is None:
        return f">={numbers.least}"
    return str(numbers.least) if numbers.least == numbers.most else f"{numbers.least}..{numbers.most}"


def _times(times: TimeRange) -> str:
    start, end = times.start, times.end
    if start is not None and end is not None:
        return f"{render_time(start)}..{render_time(end)}"
    point, after, from_ = (start, ">", ">=") if start is not None else (end, "<=", "<")
    assert point is not None
    return f"{after}{render_time(point - _TICK)}" if _is_a_tick_late(point) else f"{from_}{render_time(point)}"


def _is_a_tick_late(point: TimePoint) -> bool:
    """Tell whether it was written as one after a whole second, most likely."""
    return (point.microseconds if isinstance(point, timedelta) else point.microsecond) == 1
