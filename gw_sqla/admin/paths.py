"""How the jobs of a filter are reached: in which order, by which indexes, from where on.

What waits in one queue is read by the index of queues and sorted, while that is little: the index has neither ids nor
turns to the end, and of a queue with a million jobs each step would sort all. Those of a large queue are looked for
among all turns, from the first of its own on. So are jobs that are not due yet: behind those that are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_

from gw_sqla.admin.bounded import BoundedReading
from gw_sqla.admin.values import JobOrder
from gw_sqla.admin.workers import find_parts
from gw_sqla.errors import InvalidFilterError
from gw_sqla.filters.fields import Choice
from gw_sqla.filters.job_filter import JobFilter
from gw_sqla.models import Job
from gw_sqla.statements.job_conditions import conditions
from gw_sqla.statements.job_pages import head, size_of_lane
from gw_sqla.statements.job_ranges import Place
from gw_sqla.statements.job_states import WAITING, is_in_state
from gw_sqla.types import JobState

__all__ = ["Path", "check_order", "path_to", "the_filter"]

_MOST_SORTED = 4000
"""Rows."""
_LAST_ID = 2**63 - 1

Lane = tuple[ColumnElement[bool], ...]


@dataclass(frozen=True, slots=True)
class Path:
    """In an order, along lanes that indexes have; and what else the jobs must fit.

    ``is_direct``: the jobs are named by id or key, so that there are few, and nothing is scanned. ``start``: no job
    that fits lies before it, None where that is not known. ``reads_texts``: errors or payloads are read.
    """

    by_turn: bool
    lanes: tuple[Lane, ...]
    tests: Lane
    is_direct: bool = False
    start: Place | None = None
    reads_texts: bool = False


def the_filter(given: JobFilter | str | None) -> JobFilter:
    """Return the filter that is meant; raises InvalidFilterError for a text that is none."""
    if isinstance(given, JobFilter):
        return given
    return JobFilter() if given is None else JobFilter.parse(given)


def check_order(given: JobFilter, order: JobOrder) -> None:
    """Raise InvalidFilterError for a filter whose jobs have no such order."""
    if order is JobOrder.TURN and not _all_wait(given):
        raise InvalidFilterError("state", "only waiting jobs have a turn: say state:waiting (or ready), or order by id")


def path_to(
    reading: BoundedReading, schema: str, given: JobFilter, order: JobOrder, *, descending: bool = False
) -> Path:
    """Return the path to the filter's jobs, by the indexes that this schema has."""
    tests = tuple(conditions(given))
    by_turn = order is JobOrder.TURN
    texts = given.looks_into_texts
    if isinstance(given.ids, frozenset) or _names_some(given.keys):
        reading.allow_sorting()
        lane = (and_(Job.is_available),) if by_turn else ()
        return Path(by_turn, (lane,), tests, is_direct=True)
    parts = find_parts(reading, schema)
    queue = _of_queue(given) if parts.turn_index and _all_wait(given) else ()
    if queue and _is_small(reading, queue):
        reading.allow_sorting()
        return Path(by_turn, (queue,), tests, reads_texts=texts)
    if by_turn:
        lanes = _lanes_of_turns(given) if parts.turn_index else ((and_(Job.is_available),),)
        start = _start(reading, given, queue, lanes, descending=descending)
        return Path(True, lanes, tests, start=start, reads_texts=texts)
    if given.states == {JobState.FAILED} and parts.failed_index:
        return Path(False, ((is_in_state(JobState.FAILED),),), tests, reads_texts=texts)
    return Path(False, ((),), tests, reads_texts=texts)


def _all_wait(given: JobFilter) -> bool:
    return bool(given.states) and given.states <= WAITING


def _names_some(choice: Choice | None) -> bool:
    return choice is not None and bool(choice.names) and not choice.is_negated


def _of_queue(given: JobFilter) -> Lane:
    """Return the condition of jobs that wait in the one queue that is asked for; none where it is not one."""
    if given.queues is None or not _names_some(given.queues) or len(given.queues.names) > 1:
        return ()
    return (and_(Job.is_available, *conditions(JobFilter(queues=given.queues))),)


def _is_small(reading: BoundedReading, lane: Lane) -> bool:
    [found] = reading.ask(size_of_lane(lane, _MOST_SORTED + 1))
    return bool(found.jobs <= _MOST_SORTED)


def _lanes_of_turns(given: JobFilter) -> tuple[Lane, ...]:
    alone = (and_(Job.is_available, Job.job_queue_id.is_(None)),)
    if given.queues == Choice(is_negated=True):
        return (alone,)
    queued = (and_(Job.is_available, Job.job_queue_id.is_not(None)),)
    return (queued,) if given.queues is not None and not given.queues.is_negated else (alone, queued)


def _start(
    reading: BoundedReading, given: JobFilter, queue: Lane, lanes: tuple[Lane, ...], *, descending: bool
) -> Place | None:
    """Return where the turns that are asked for begin: a place that need not be a job's."""
    beyond = _LAST_ID if descending else 0
    if queue:
        for first in reading.ask(head(queue, descending=descending)):
            return Place(beyond, first.priority, first.run_at)
    due = given.states == {JobState.READY}
    if due is not descending or (not due and JobState.READY in given.states):
        return None
    heads: list[Any] = [row for lane in lanes for row in reading.ask(head(lane, descending=descending))]
    if not heads:
        return None
    priorities = [row.priority for row in heads]
    return Place(beyond, max(priorities) if descending else min(priorities), heads[0].now)
