"""A scan: goes through jobs in an order, some thousand at a time, until it has what it wants or may go no further.

Each step finds the edge of so many rows, then reads up to it. Steps grow while they are quick: the last one may be
ended by the database, and is then lost, so no step is expected to take more than half of the time that is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gw_sqla.admin.bounded import BoundedReading, OutOfTimeError
from gw_sqla.admin.paths import Path
from gw_sqla.admin.values import ScanLimits, ScanStop
from gw_sqla.statements.job_pages import edge
from gw_sqla.statements.job_ranges import Place, Range

__all__ = ["Scan"]

_FIRST_STEP = 4000
_FIRST_STEP_OF_TEXTS = 500
"""Where errors or payloads are read: a row may cost a hundred times as much, and a step that takes too long is lost."""
_LAST_STEP = 50_000


@dataclass(slots=True)
class Scan:
    """A scan along a path; ``reached`` is the place up to which everything was looked at, at first where it begins.

    ``step``: how many rows it looks at first, if that is known.
    """

    reading: BoundedReading
    path: Path
    limits: ScanLimits
    descending: bool = False
    reached: Place | None = None
    step: int | None = None
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
        step = self.step or (_FIRST_STEP_OF_TEXTS if self.path.reads_texts else _FIRST_STEP)
        if not self.scanned:
            return min(step, rows_left)
        spent = self.limits.timeout.total_seconds() - self.reading.left
        affordable = int(self.scanned / max(spent, 1e-6) * self.reading.left / 2)
        if affordable < step // 8:
            self.stopped = ScanStop.TIME
            return 0
        return min(affordable, _LAST_STEP, rows_left)

    def _range(self, end: Place | None) -> Range:
        return Range(self.path.by_turn, self.descending, self.path.lanes, self.reached, end)
