"""Generators of filters, and of texts that are nearly filters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from hypothesis import assume
from hypothesis import strategies as st

from gw_sqla import InvalidFilterError, JobState
from gw_sqla.admin import Choice, JobFilter, NumberRange, PayloadTest, TimeRange

T = TypeVar("T")

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
ODD = st.text(st.sampled_from(list(' ":,.*\\<>=-ab7\n')), min_size=1, max_size=8)
NAMES = TEXT | ODD


def _sets(of: st.SearchStrategy[T], least: int = 0) -> st.SearchStrategy[frozenset[T]]:
    return st.frozensets(of, min_size=least, max_size=3)


def _numbers(least: int, most: int) -> st.SearchStrategy[NumberRange]:
    bounds = st.lists(st.integers(least, most), min_size=2, max_size=2).map(sorted)
    return bounds.flatmap(
        lambda two: st.sampled_from([NumberRange(two[0], two[1]), NumberRange(least=two[0]), NumberRange(most=two[1])])
    )


_POINTS: st.SearchStrategy[datetime | timedelta] = st.datetimes(
    datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)
) | st.timedeltas(timedelta(days=-400_00), timedelta(days=400_00))


def _times(points: st.SearchStrategy[datetime | timedelta]) -> st.SearchStrategy[TimeRange]:
    def made(ends: tuple[datetime | timedelta | None, datetime | timedelta | None]) -> TimeRange:
        try:
            return TimeRange(*ends)
        except InvalidFilterError:
            assume(False)
            raise

    return st.tuples(st.none() | points, st.none() | points).map(made)


_CHOICES = st.builds(Choice, _sets(NAMES), st.booleans())
_TESTS = st.builds(
    PayloadTest,
    st.lists(NAMES | st.just(""), min_size=1, max_size=3).map(tuple),
    st.none() | NAMES | st.just(""),
    st.booleans(),
)


@st.composite
def filters(draw: st.DrawFn) -> JobFilter:
    """Filters of some fields that do not contradict each other."""
    every: dict[str, st.SearchStrategy[Any]] = {
        "states": _sets(st.sampled_from(JobState)),
        "tasks": st.builds(Choice, _sets(NAMES, 1), st.booleans()),
        "queues": _CHOICES,
        "keys": _CHOICES,
        "locked_by": _CHOICES,
        "priority": _numbers(-(2**15), 2**15 - 1),
        "attempts": _numbers(-(2**15), 2**15 - 1),
        "flags": _sets(NAMES | st.just("")),
        "without_flags": _sets(NAMES | st.just("")),
        "created": _times(_POINTS),
        "run_at": _times(_POINTS),
        "has_error": st.booleans(),
        "errors": _sets(NAMES),
        "without_errors": _sets(NAMES),
        "payload": st.lists(_TESTS, max_size=3).map(tuple),
        "ids": _numbers(0, 2**63 - 1) | _sets(st.integers(0, 2**63 - 1), 1),
    }
    fields = draw(st.lists(st.sampled_from(sorted(every)), unique=True, max_size=6))
    values = {field: draw(every[field]) for field in fields}
    try:
        return JobFilter(**values)
    except InvalidFilterError:
        assume(False)
        raise


_PIECES = st.sampled_from(
    [
        "state:", "failed", "ready", "task:", "queue:", "-", ":", ",", "*", '"', "\\", " ", ".", "..", "<", ">=", "1h",
        "-30m", "now", "2026-01-01", "T12:00Z", "payload.", "error:", "priority:", "attempts:", "id:", "flag:", "key:",
        "run-at:", "created:", "locked-by:", "7", "99999999999999999999", "9999-12-31", "0001-01-01", "é", "\0",
        "\ud800",
    ]
)  # fmt: skip
RUBBISH = st.text(max_size=30) | st.lists(_PIECES, max_size=12).map("".join)
"""Any text, and texts of what the grammar is made of."""
