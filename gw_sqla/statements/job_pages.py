"""Bounded reading of jobs: where a number of rows ends, and what of the rows up to there fits a filter.

Whatever the filter, no statement looks at more rows than it is told: first the *edge* is found, the place that so many
rows of an index lie before, then the rows up to it are read and tested. A limit alone bounds nothing: a filter that few
jobs fit would read the whole table for its page.

Orders: ``id``, by the primary key; ``turn``, that of claims (priority, run_at, id), which waiting jobs have. No index
has all of these in that order, as claims look for jobs without a queue apart: two have, ``sqla_jobs_ready_index`` and
``sqla_jobs_turn_index``. So rows lie in *lanes*, each a set of conditions that one index answers; a statement
reads each lane and merges what it finds. What is asked of a lane is bounded as if it were alone.

Rejected: to sort what ``jobs_main_index`` has, which ends before the id. Jobs that were added in one transaction have
one priority and one run_at: of 300,000 such jobs no page was there within 80 ms. ``sqla_jobs_turn_index`` costs claims
nothing that could be measured, and adding jobs to queues up to a fifth (``python -m benchmarks.index_cost``);
``sqla_jobs_failed_index`` costs nothing measurable. One of locked jobs would cost each claim a fifth: there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    case,
    cast,
    func,
    literal_column,
    select,
    union_all,
)

from gw_sqla.models import Job
from gw_sqla.statements.job_details import details
from gw_sqla.statements.job_ranges import Condition, Range, key_of, parts, time_of_place
from gw_sqla.statements.job_states import NOW
from gw_sqla.statements.quoting import TEXT, as_text

__all__ = ["count", "edge", "head", "ids", "page", "place_of", "size_of_lane"]

MOST_STORED = 2048
"""Bytes, as stored, of a payload that a list has; a longer one is read with its job."""
MOST_ERROR = 2000
"""Characters of last_error that a list has."""


def edge(rows: Range, count: int) -> Select[*tuple[Any, ...]]:
    """Select the first place that is the ``count``th of its lane behind ``after``; no row where lanes have fewer."""
    found = _merged(rows, (), 1, offset=count - 1).subquery().c
    return select(found.id, found.priority, time_of_place(found.run_at)) if rows.by_turn else select(found.id)


def page(rows: Range, conditions: Sequence[Condition], limit: int) -> Select[*tuple[Any, ...]]:
    """Select the first jobs of the range that fit: the columns of ListedJob, then ``place_run_at``."""
    size = func.pg_catalog.pg_column_size(Job.payload, type_=Integer)
    texts: dict[str, ColumnElement[Any]] = {
        "payload_text": case((size <= MOST_STORED, cast(Job.payload, TEXT)), else_=as_text("")),
        "last_error": func.pg_catalog.left(Job.last_error, MOST_ERROR, type_=TEXT),
    }
    found = _merged(rows, conditions, limit).subquery()
    return (
        details(**texts)
        .add_columns(size.label("stored_size"), time_of_place(Job.run_at).label("place_run_at"))
        .join(found, found.c.id == Job.id)
        .order_by(*(column.desc() if rows.descending else column for column in key_of(rows)))
    )


def ids(rows: Range, conditions: Sequence[Condition], limit: int) -> Select[*tuple[Any, ...]]:
    """Select the ids of the first jobs of the range that fit, in the order of the range, which is that of ids."""
    return select(_merged(rows, conditions, limit).subquery().c.id)


def count(rows: Range, conditions: Sequence[Condition], limit: int) -> Select[*tuple[Any, ...]]:
    """Count the jobs of the range that fit, up to ``limit``: ``jobs``. In order, for that is how indexes are chosen."""
    found = _merged(rows, conditions, limit).subquery()
    return select(func.pg_catalog.count(literal_column("*"), type_=BigInteger).label("jobs")).select_from(found)


def head(lane: Sequence[Condition], *, descending: bool) -> Select[*tuple[Any, ...]]:
    """Select priority and run_at of the lane's first turn (or its last one), and what time it is: as in a place."""
    columns = (Job.priority, time_of_place(Job.run_at).label("run_at"), time_of_place(NOW).label("now"))
    key = (Job.priority, Job.run_at)
    return select(*columns).where(*lane).order_by(*(one.desc() if descending else one for one in key)).limit(1)


def place_of(job_id: int) -> Select[*tuple[Any, ...]]:
    """Select the job's place among turns."""
    return select(Job.id, Job.priority, time_of_place(Job.run_at)).where(Job.id == job_id)


def size_of_lane(lane: Sequence[Condition], limit: int) -> Select[*tuple[Any, ...]]:
    """Count the lane's jobs, up to ``limit``: ``jobs``."""
    found = select(literal_column("1")).select_from(Job).where(*lane).limit(limit).subquery()
    return select(func.pg_catalog.count(literal_column("*"), type_=BigInteger).label("jobs")).select_from(found)


def _ordered(rows: Range, found: Any) -> Any:
    """Put the columns of the order, which the select has, in order."""
    columns = [found.selected_columns[column.key] for column in key_of(rows)]
    return found.order_by(*(column.desc() if rows.descending else column for column in columns))


def _merged(rows: Range, conditions: Sequence[Condition], limit: int, offset: int = 0) -> Any:
    """Select the key of the first rows of all lanes that fit; where no edge is, behind so many of each lane."""
    found = [
        _ordered(rows, select(*key_of(rows)).where(*part, *conditions)).offset(offset or None).limit(limit)
        for lane in rows.lanes
        for part in parts(rows, lane)
    ]
    return found[0] if len(found) == 1 else _ordered(rows, union_all(*found)).limit(limit)
