"""A scan: goes through jobs in an order, some thousand at a time, until it has what it wants or may go no further.

Each step finds the edge of so many rows, then reads up to it. Steps grow while they are quick: the last one may be
ended by the database, and is then lost, so no step is expected to take more than half of the time that is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_

from gw_sqla.admin.bounded import BoundedReading, OutOfTimeError
from gw_sqla.admin.values import JobOrder, ScanLimits, ScanStop
from gw_sqla.admin.workers import find_parts
from gw_sqla.errors import InvalidFilterError
from gw_sqla.filters.fields import Choice
from gw_sqla.filters.job_filter import JobFilter
from gw_sqla.models import Job
from gw_sqla.statements.job_conditions import conditions
from gw_sqla.statements.job_pages import edge
from gw_sqla.statements.job_ranges import Place, Range
from gw_sqla.statements.job_states import WAITING, is_in_state
from gw_sqla.types import JobState

__all__ = ["Path", "Scan", "check_order", "path_to", "the_filter"]

_FIRST_STEP = 4000
_LAST_STEP = 50_000


@dataclass(frozen=True, slots=True)
class Path:
    """How the jobs of a filter are reached: in an order, along lanes that indexes have; and what else they must fit.

    ``is_direct``: the jobs are named by id or key, so that there are few, and nothing is scanned.
    """

    by_turn: bool
    lanes: tuple[tuple[ColumnElement[bool], ...], ...]
    tests: tuple[ColumnElement[bool], ...]
    is_direct: bool = False


def the_filter(given: JobFilter | str | None) -> JobFilter:
    """Return the filter that is meant; raises InvalidFilterError for a text that is none."""
    if isinstance(given, JobFilter):
        return given
    return JobFilter() if given is None else JobFilter.parse(given)


def check_order(given: JobFilter, order: JobOrder) -> None:
    """Raise InvalidFilterError for a filter whose jobs have no such order."""
    if order is JobOrder.TURN and not _all_wait(given):
        raise InvalidFilterError("state", "only waiting jobs have a turn: say state:waiting (or ready), or order by id")


def path_to(reading: BoundedReading, schema: str, given: JobFilter, order: JobOrder) -> Path:
    """Return the path to the filter's jobs, by the indexes that this schema has."""
    tests = tuple(conditions(given))
    named = isinstance(given.ids, frozenset) or _names_some(given.keys)
    if named:
        reading.allow_sorting()
    if order is JobOrder.TURN:
        return Path(True, _lanes_of_turns(reading, schema, given), tests, is_direct=named)
    if named:
        return Path(False, ((),), tests, is_direct=True)
    if given.states == {JobState.FAILED} and find_parts(reading, schema).failed_index:
        return Path(False, ((is_in_state(JobState.FAILED),),), tests)
    if _all_wait(given) and (queue := _of_queue(given)):
        reading.allow_sorting()  # what waits in a queue: its index has turns only
        return Path(False, (queue,), tests)
    return Path(False, ((),), tests)


def _all_wait(given: JobFilter) -> bool:
    return bool(given.states) and given.states <= WAITING


def _names_some(choice: Choice | None) -> bool:
    return choice is not None and bool(choice.names) and not choice.is_negated


def _of_queue(given: JobFilter) -> tuple[ColumnElement[bool], ...]:
    """Return the condition of jobs that wait in the one queue that is asked for; none where it is not one."""
    if given.queues is None or not _names_some(given.queues) or len(given.queues.names) > 1:
        return ()
    return (and_(Job.is_available, *conditions(JobFilter(queues=given.queues))),)


def _lanes_of_turns(
    reading: BoundedReading, schema: str, given: JobFilter
) -> tuple[tuple[ColumnElement[bool], ...], ...]:
    if queue := _of_queue(given):
        return (queue,)
    alone = (and_(Job.is_available, Job.job_queue_id.is_(None)),)
    if given.queues == Choice(is_negated=True):
        return (alone,)
    if not find_parts(reading, schema).turn_index:  # a schema that a peer made: slower
        return ((and_(Job.is_available),),)
    queued = (and_(Job.is_available, Job.job_queue_id.is_not(None)),)
    return (queued,) if given.queues is not None and not given.queues.is_negated else (alone, queued)


@dataclass(slots=True)
class Scan:
    """A scan along a path; ``reached`` is the place up to which everything was looked at, at first where it begins.

    ``step``: how many rows it looks at first.
    """

    reading: BoundedReading
    path: Path
    limits: ScanLimits
    descending: bool = False
    reached: Place | None = None
    step: int = _FIRST_STEP
    scanned: int = 0
    stopped: ScanStop | None = None

    def run(self, look: Callable[[Range], bool]) -> None:
        """Call ``look`` with one range of rows after another, until it returns True or there are no more."""
        try:
            if self.path.is_direct:
                look(self._range(None))
                return
            while self._step(look):
                pass
        except OutOfTimeError:
            self.stopped = ScanStop.TIME

    def _step(self, look: Callable[[Range], bool]) -> bool:
        """Take a step; tell whether there is another."""
        size = self._size()
        if size <= 0:
            return False
        rows: Sequence[Place] = [Place(*row) for row in self.reading.ask(edge(self._range(None), size))]
        end = rows[0] if rows else None
        is_enough = look(self._range(end))
        self.scanned += size * len(self.path.lanes)
        if end is not None:
            self.reached = end
        return not is_enough and end is not None

    def _size(self) -> int:
        rows_left = self.limits.rows - self.scanned
        if rows_left <= 0:
            self.stopped = ScanStop.ROWS
            return 0
        if not self.scanned:
            return min(self.step, rows_left)
        spent = self.limits.timeout.total_seconds() - self.reading.left
        affordable = int(self.scanned / max(spent, 1e-6) * self.reading.left / 2)
        if affordable < self.step // 8:
            self.stopped = ScanStop.TIME
            return 0
        return min(affordable, _LAST_STEP, rows_left)

    def _range(self, end: Place | None) -> Range:
        return Range(self.path.by_turn, self.descending, self.path.lanes, self.reached, end)
