"""Ranges of jobs in an order, as conditions that an index answers at both ends.

PostgreSQL goes to the beginning of ``(priority, run_at, id) > (...)`` by all three columns, but takes a scan for ended
by the first of them only: a million jobs with one priority and one run_at, added in one go, would all be read for a
range of a thousand. So a range by turn that has an end is cut into parts, in each of which the columns before the one
that ends it are fixed: the jobs with the first one's priority and run_at, those with its priority, those in between,
those with the last one's priority, and those with its run_at too. Of most ranges three are left, or one.

The time in a place is text, in UTC: PostgreSQL's times, infinities included, go beyond those of Python, and equal times
must be equal texts, whatever the TimeZone of the session. DateStyle must be ISO.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, DateTime, SmallInteger, and_, bindparam, cast, func, tuple_

from gw_sqla.models import Job
from gw_sqla.statements.quoting import TEXT, TIMESTAMP, as_text

__all__ = ["Condition", "Place", "Range", "key_of", "parts", "time_of_place", "within"]

Condition = ColumnElement[bool]

_UTC = as_text("UTC")


class Place(NamedTuple):
    """A job's place in an order; by ``id`` the others are None."""

    id: int
    priority: int | None = None
    run_at: str | None = None


class Range(NamedTuple):
    """The rows in question, in an order: those behind ``after``, up to ``edge`` (itself too); None: no bound."""

    by_turn: bool
    descending: bool
    lanes: Sequence[Sequence[Condition]] = ((),)
    after: Place | None = None
    edge: Place | None = None


def key_of(rows: Range) -> list[Any]:
    """Return the columns of the order."""
    return [Job.priority, Job.run_at, Job.id] if rows.by_turn else [Job.id]


def time_of_place(run_at: ColumnElement[Any] | Any) -> ColumnElement[str]:
    """Return the text of a time in a place."""
    return cast(func.pg_catalog.timezone(_UTC, run_at, type_=DateTime()), TEXT)


def parts(rows: Range, lane: Sequence[Condition]) -> list[list[Condition]]:
    """Return the conditions of each part of the lane's range, in order; no row is in two of them."""
    if not rows.by_turn:
        return [within(rows, lane)]
    if rows.edge is not None:
        return [[*lane, and_(*part)] for part in _parts_by_turn(rows.descending, rows.after, rows.edge)]
    if rows.after is None:
        return [list(lane)]
    key, start = tuple_(*key_of(rows)), tuple_(*_values(rows.after))
    return [[*lane, key < start if rows.descending else key > start]]


def within(rows: Range, lane: Sequence[Condition]) -> list[Condition]:
    """Return the conditions that a row of the lane is in the range, which is by id."""
    found = list(lane)
    if rows.after is not None:
        start = _number(rows.after)
        found.append(Job.id < start if rows.descending else Job.id > start)
    if rows.edge is not None:
        end = _number(rows.edge)
        found.append(Job.id >= end if rows.descending else Job.id <= end)
    return found


def _parts_by_turn(descending: bool, start: Place | None, end: Place) -> list[list[Any]]:
    def behind(column: Any, value: Any) -> Any:
        return column < value if descending else column > value

    def before(column: Any, value: Any) -> Any:
        return column > value if descending else column < value

    last_priority, last_run_at, last_id = _values(end)
    up_to_last = Job.id >= last_id if descending else Job.id <= last_id
    last = [Job.priority == last_priority, Job.run_at == last_run_at, up_to_last]
    before_last = [Job.priority == last_priority, before(Job.run_at, last_run_at)]
    if start is None:
        return [[before(Job.priority, last_priority)], before_last, last]
    priority, run_at, number = _values(start)
    first = [Job.priority == priority, Job.run_at == run_at, behind(Job.id, number)]
    if (start.priority, start.run_at) == (end.priority, end.run_at):
        return [[*first, up_to_last]]
    if start.priority == end.priority:
        return [first, [*before_last, behind(Job.run_at, run_at)], last]
    between = [behind(Job.priority, priority), before(Job.priority, last_priority)]
    return [first, [Job.priority == priority, behind(Job.run_at, run_at)], between, before_last, last]


def _number(place: Place) -> Any:
    return bindparam(None, place.id, type_=BigInteger, unique=True)


def _values(place: Place) -> tuple[Any, Any, Any]:
    assert place.run_at is not None
    priority = bindparam(None, place.priority, type_=SmallInteger, unique=True)
    run_at = func.pg_catalog.timezone(_UTC, cast(as_text(place.run_at), DateTime()), type_=TIMESTAMP)
    return priority, run_at, _number(place)
