"""Bounded reading of jobs: where a number of rows ends, and what of the rows up to there fits a filter.

Whatever the filter, no statement looks at more rows than it is told: first the *edge* is found, the place that so many
rows of an index lie before, then the rows up to it are read and tested. A limit alone bounds nothing: a filter that few
jobs fit would read the whole table for its page.

Orders: ``id``, by the primary key; ``turn``, that of claims (priority, run_at, id), by ``jobs_main_index``, or for a
queue by ``sqla_jobs_queue_index``, which have waiting jobs only. Those indexes end before the id: jobs that have one
priority and one run_at, as those that were added in one transaction, are sorted; that is what the caller's time limit
is for.

``seek``: conditions that an index answers; the edge is then counted among those rows alone.

The time in a place is text: PostgreSQL's times, infinities included, go beyond those of Python. DateStyle must be ISO.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    SmallInteger,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    select,
    tuple_,
)

from gw_sqla.models import Job
from gw_sqla.statements.job_details import details
from gw_sqla.statements.quoting import TEXT, TIMESTAMP, as_text

__all__ = ["Place", "Range", "count", "edge", "page", "within"]

MOST_STORED = 2048
"""Bytes, as stored, of a payload that a list has; a longer one is read with its job."""
MOST_ERROR = 2000
"""Characters of last_error that a list has."""

Condition = ColumnElement[bool]


class Place(NamedTuple):
    """A job's place in an order; by ``id`` the others are None."""

    id: int
    priority: int | None = None
    run_at: str | None = None


class Range(NamedTuple):
    """The rows in question, in an order: those behind ``after``, up to ``edge`` (itself too); None: no bound."""

    by_turn: bool
    descending: bool
    seek: Sequence[Condition] = ()
    after: Place | None = None
    edge: Place | None = None


def edge(rows: Range, count: int) -> Select[*tuple[Any, ...]]:
    """Select the place of the ``count``th row behind ``after``; no row where there are fewer."""
    return select(*_place(rows.by_turn)).where(*within(rows)).order_by(*_order(rows)).offset(count - 1).limit(1)


def page(rows: Range, conditions: Sequence[Condition], limit: int) -> Select[*tuple[Any, ...]]:
    """Select the first jobs of the range that fit: the columns of ListedJob, then ``place_run_at``."""
    size = func.pg_catalog.pg_column_size(Job.payload, type_=Integer)
    is_whole = size <= MOST_STORED
    texts: dict[str, ColumnElement[Any]] = {
        "payload_text": case((is_whole, cast(Job.payload, TEXT)), else_=as_text("")),
        "last_error": func.pg_catalog.left(Job.last_error, MOST_ERROR, type_=TEXT),
    }
    return (
        details(**texts)
        .add_columns(size.label("stored_size"), cast(Job.run_at, TEXT).label("place_run_at"))
        .where(*within(rows), *conditions)
        .order_by(*_order(rows))
        .limit(limit)
    )


def count(rows: Range, conditions: Sequence[Condition], limit: int) -> Select[*tuple[Any, ...]]:
    """Count the jobs of the range that fit, up to ``limit``: ``jobs``."""
    found = select(literal_column("1")).select_from(Job).where(*within(rows), *conditions).limit(limit).subquery()
    return select(func.pg_catalog.count(literal_column("*"), type_=BigInteger).label("jobs")).select_from(found)


def _place(by_turn: bool) -> list[ColumnElement[Any]]:
    place: list[Any] = [Job.id, Job.priority, cast(Job.run_at, TEXT).label("run_at")]
    return place if by_turn else place[:1]


def _order(rows: Range) -> list[ColumnElement[Any]]:
    columns: list[Any] = [Job.priority, Job.run_at, Job.id] if rows.by_turn else [Job.id]
    return [column.desc() for column in columns] if rows.descending else columns


def within(rows: Range) -> list[Condition]:
    """Return the conditions that a row is in the range."""
    found = list(rows.seek)
    key: Any = tuple_(Job.priority, Job.run_at, Job.id) if rows.by_turn else Job.id
    if rows.after is not None:
        bound = _bound(rows.by_turn, rows.after)
        found.append(key < bound if rows.descending else key > bound)
    if rows.edge is not None:
        bound = _bound(rows.by_turn, rows.edge)
        found.append(key >= bound if rows.descending else key <= bound)
    return [and_(*found)] if found else []


def _bound(by_turn: bool, place: Place) -> Any:
    number = bindparam(None, place.id, type_=BigInteger, unique=True)
    if not by_turn:
        return number
    assert place.run_at is not None
    priority = bindparam(None, place.priority, type_=SmallInteger, unique=True)
    return tuple_(priority, cast(as_text(place.run_at), TIMESTAMP), number)
