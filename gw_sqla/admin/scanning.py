"""A scan: goes through jobs in an order, some thousand at a time, until it has what it wants or may go no further.

Each step finds the edge of so many rows, then reads up to it. Steps grow while they are quick: the last one may be
ended by the database, and is then lost, so no step is expected to take more than half of the time that is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, and_

from gw_sqla.admin.bounded import BoundedReading, OutOfTimeError
from gw_sqla.admin.values import JobOrder, ScanLimits, ScanStop
from gw_sqla.admin.workers import find_parts
from gw_sqla.errors import InvalidFilterError
from gw_sqla.filters.job_filter import JobFilter
from gw_sqla.models import Job
from gw_sqla.statements.job_conditions import conditions
from gw_sqla.statements.job_pages import Place, Range, edge
from gw_sqla.statements.job_states import WAITING, is_in_state
from gw_sqla.types import JobState

__all__ = ["Path", "Scan", "path_for", "the_filter"]

_FIRST_STEP = 4000
_LAST_STEP = 50_000


@dataclass(frozen=True, slots=True)
class Path:
    """How the jobs of a filter are reached: by an order, by conditions that an index answers; what else they must fit.

    ``is_direct``: the jobs are named by id or key, so that there are few, and nothing is scanned. ``state``: all of
    them are in this one, for which there may be an index.
    """

    by_turn: bool
    seek: tuple[ColumnElement[bool], ...]
    tests: tuple[ColumnElement[bool], ...]
    is_direct: bool = False
    state: JobState | None = None


def the_filter(given: JobFilter | str | None) -> JobFilter:
    """Return the filter that is meant; raises InvalidFilterError for a text that is none."""
    if isinstance(given, JobFilter):
        return given
    return JobFilter() if given is None else JobFilter.parse(given)


def path_for(given: JobFilter, order: JobOrder) -> Path:
    """Return the path; raises InvalidFilterError for a filter whose jobs have no such order."""
    tests = tuple(conditions(given))
    if order is JobOrder.TURN:
        if not given.states or not given.states <= WAITING:
            raise InvalidFilterError(
                "state", "only waiting jobs have a turn: say state:waiting (or ready), or order by id"
            )
        queue = given.queues is not None and not given.queues.is_negated and len(given.queues.names) == 1
        seek = [and_(Job.is_available), *conditions(JobFilter(queues=given.queues if queue else None))]
        return Path(True, tuple(seek), tests)
    named = isinstance(given.ids, frozenset) or (
        given.keys is not None and bool(given.keys.names) and not given.keys.is_negated
    )
    state = next(iter(given.states)) if len(given.states) == 1 else None
    return Path(False, (), tests, is_direct=named, state=state)


@dataclass(slots=True)
class Scan:
    """A scan along a path; ``reached`` is the place up to which everything was looked at."""

    reading: BoundedReading
    path: Path
    limits: ScanLimits
    descending: bool = False
    reached: Place | None = None
    scanned: int = 0
    stopped: ScanStop | None = None

    @classmethod
    def along(
        cls,
        reading: BoundedReading,
        schema: str,
        path: Path,
        limits: ScanLimits,
        *,
        descending: bool = False,
        start: Place | None = None,
    ) -> Scan:
        """Return a scan from ``start`` on, by the index of the jobs in this state where there is one."""
        if path.state in {JobState.FAILED, JobState.LOCKED} and path.state in find_parts(reading, schema).indexed:
            path = replace(path, seek=(is_in_state(path.state),))
        return cls(reading, path, limits, descending, start)

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
        self.scanned += size
        if end is not None:
            self.reached = end
        return not is_enough and end is not None

    def _size(self) -> int:
        rows_left = self.limits.rows - self.scanned
        if rows_left <= 0:
            self.stopped = ScanStop.ROWS
            return 0
        if not self.scanned:
            return min(_FIRST_STEP, rows_left)
        spent = self.limits.timeout.total_seconds() - self.reading.left
        affordable = int(self.scanned / max(spent, 1e-6) * self.reading.left / 2)
        if affordable < _FIRST_STEP // 8:
            self.stopped = ScanStop.TIME
            return 0
        return min(affordable, _LAST_STEP, rows_left)

    def _range(self, end: Place | None) -> Range:
        return Range(self.path.by_turn, self.descending, self.path.seek, self.reached, end)
