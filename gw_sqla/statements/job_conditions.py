"""A filter of jobs as conditions on `gw_sqla.models.Job`, with its values as parameters: for reading and for acting.

``select(...).where(*conditions(filter))`` in a session whose `gw_sqla.models.schema_option` names the schema. Names of
tasks and queues are looked up in the same statement.

A value of a payload is taken by ``#>>``, which is right for json as it is stored. A payload that PostgreSQL cannot
take apart (contract, section 5: ``\\u0000``; or half a surrogate pair) would end the statement: it is left out before.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Interval, and_, any_, bindparam, case, cast, func, not_, null, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from gw_sqla.filters.fields import Choice, PayloadTest
from gw_sqla.filters.job_filter import JobFilter
from gw_sqla.filters.ranges import NumberRange, TimePoint, TimeRange
from gw_sqla.models import Job, JobQueue, Task
from gw_sqla.statements.job_states import NOW, WAITING, is_in_state
from gw_sqla.statements.quoting import BIGINTS, TEXT, TEXTS, TIMESTAMP, as_text
from gw_sqla.types import JobState

__all__ = ["HALF", "HIGH", "LOW", "NUL", "conditions", "in_states"]

HIGH = r"\\u[dD][89abAB][0-9a-fA-F]{2}"
LOW = r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
HALF = r"\\u[dD][89a-fA-F]"
NUL = "\\u0000"


def conditions(given: JobFilter) -> list[ColumnElement[bool]]:
    """Return the conditions, all of which a job must fit; none for a filter that all jobs fit."""
    return [*_of_columns(given), *_of_texts(given)]


def in_states(states: frozenset[JobState]) -> ColumnElement[bool]:
    """Return the condition that a job is in one of the states."""
    rest = states - WAITING if states >= WAITING else states
    available = [Job.is_available] if states >= WAITING else []
    return or_(*available, *(is_in_state(state) for state in sorted(rest)))


def _of_columns(given: JobFilter) -> Iterator[ColumnElement[bool]]:
    if given.states:
        yield in_states(given.states)
    if given.tasks is not None:
        known = select(Task.id).where(Task.identifier == _any(given.tasks.names))
        yield Job.task_id.not_in(known) if given.tasks.is_negated else Job.task_id.in_(known)
    if given.queues is not None:
        yield _queues(given.queues)
    if given.keys is not None:
        yield _choice(Job.key, given.keys)
    if given.locked_by is not None:
        yield _choice(Job.locked_by, given.locked_by)
    for column, numbers in ((Job.priority, given.priority), (Job.attempts, given.attempts)):
        yield from _numbers(column, numbers)
    for times_of, times in ((Job.created_at, given.created), (Job.run_at, given.run_at)):
        yield from _times(times_of, times)
    if given.flags:
        yield Job.flags.op("?&", is_comparison=True)(_texts(given.flags))
    if given.without_flags:
        yield func.coalesce(Job.flags.op("?|", is_comparison=True)(_texts(given.without_flags)), False).is_(False)
    if isinstance(given.ids, NumberRange):
        yield from _numbers(Job.id, given.ids)
    elif given.ids is not None:
        yield Job.id == any_(bindparam(None, sorted(given.ids), type_=BIGINTS, unique=True))
    if given.has_error is not None:
        yield Job.last_error.is_not(None) if given.has_error else Job.last_error.is_(None)


def _of_texts(given: JobFilter) -> Iterator[ColumnElement[bool]]:
    lower = func.pg_catalog.lower
    for text in sorted(given.errors):
        yield func.pg_catalog.strpos(lower(Job.last_error), lower(as_text(text))) > 0
    for text in sorted(given.without_errors):
        yield func.coalesce(func.pg_catalog.strpos(lower(Job.last_error), lower(as_text(text))), 0) == 0
    for test in given.payload:
        yield _payload(test)


def _any(names: frozenset[str]) -> ColumnElement[Any]:
    return any_(_texts(names))


def _texts(texts: frozenset[str]) -> ColumnElement[Any]:
    return bindparam(None, sorted(texts), type_=TEXTS, unique=True)


def _choice(column: InstrumentedAttribute[str | None], choice: Choice) -> ColumnElement[bool]:
    if not choice.names:
        return column.is_(None) if choice.is_negated else column.is_not(None)
    fits: ColumnElement[bool] = column == _any(choice.names)
    return or_(column.is_(None), not_(fits)) if choice.is_negated else fits


def _queues(choice: Choice) -> ColumnElement[bool]:
    if not choice.names:
        return Job.job_queue_id.is_(None) if choice.is_negated else Job.job_queue_id.is_not(None)
    known = select(JobQueue.id).where(JobQueue.queue_name == _any(choice.names))
    if choice.is_negated:
        return or_(Job.job_queue_id.is_(None), Job.job_queue_id.not_in(known))
    if len(choice.names) == 1:
        return Job.job_queue_id == known.scalar_subquery()
    return Job.job_queue_id.in_(known)


def _numbers(column: InstrumentedAttribute[int], numbers: NumberRange | None) -> Iterator[ColumnElement[bool]]:
    if numbers is not None and numbers.least is not None:
        yield column >= numbers.least
    if numbers is not None and numbers.most is not None:
        yield column <= numbers.most


def _times(column: InstrumentedAttribute[Any], times: TimeRange | None) -> Iterator[ColumnElement[bool]]:
    if times is not None and times.start is not None:
        yield column >= _point(times.start)
    if times is not None and times.end is not None:
        yield column < _point(times.end)


def _point(point: TimePoint) -> ColumnElement[Any]:
    if isinstance(point, timedelta):
        return NOW + bindparam(None, point, type_=Interval, unique=True)
    return bindparam(None, point, type_=TIMESTAMP, unique=True)


def _payload(test: PayloadTest) -> ColumnElement[bool]:
    text = cast(Job.payload, TEXT)
    pairs = func.pg_catalog.regexp_replace(text, as_text(HIGH + LOW), as_text(""), as_text("g"))
    path = bindparam(None, list(test.path), type_=TEXTS, unique=True)
    found: ColumnElement[str] = case(
        (func.pg_catalog.strpos(text, as_text(NUL)) > 0, null()),
        (and_(text.regexp_match(as_text(HALF)), pairs.regexp_match(as_text(HALF))), null()),
        else_=Job.payload.op("operator(pg_catalog.#>>)", return_type=TEXT)(path),
    )
    if test.value is None:
        return found.is_(None) if test.is_negated else found.is_not(None)
    value = as_text(test.value)
    return found.is_distinct_from(value) if test.is_negated else found == value
