"""Failures that are alike: by task and first line of the error, its values taken out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from gw_sqla.admin.bounded import bounded
from gw_sqla.admin.error_lines import normalised
from gw_sqla.admin.paths import path_to, the_filter
from gw_sqla.admin.scanning import Scan
from gw_sqla.admin.values import MOST_LISTED, JobOrder, ScanLimits, ScanStop
from gw_sqla.filters.fields import Choice
from gw_sqla.filters.job_filter import JobFilter
from gw_sqla.jobs.argument_checks import check_count
from gw_sqla.statements.job_ranges import Range
from gw_sqla.statements.job_reports import error_lines
from gw_sqla.types import JobState

__all__ = ["FailureGroup", "Failures", "list_failures"]

_PLACEHOLDER = re.compile(r"<(?:n|uuid|hex|text)>")
_LEAST_TELLING = 3
"""Characters of a part of an error; shorter ones are mostly punctuation."""
_FIRST_STEP = 1000
"""Rows: each may have an error of its own, to be normalised here."""
_FAILED = JobFilter(states=frozenset({JobState.FAILED}))


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Jobs of one task that failed alike.

    ``error`` is the first line of last_error, with ``<n>``, ``<uuid>``, ``<hex>`` and ``<text>`` for what differs, or
    empty. ``first`` and ``last``: the earliest and the latest time for which their next attempt was set,
    no later than now. Graphile Worker stores no time of failing; that one is the failure's plus the backoff.
    ``sample`` is the id of the newest of them. ``task_identifier`` is None where the task's row is gone.
    """

    task_identifier: str | None
    error: str
    jobs: int
    first: datetime
    last: datetime
    sample: int

    def filter(self, states: frozenset[JobState] = frozenset({JobState.FAILED})) -> JobFilter:
        """Return the filter of the group's jobs in these states, by the parts of the error that they have in common.

        Others may fit it too, whose error has these parts elsewhere: preview before you act. Where the task's row is
        gone, which no filter can name, it is the sample alone.
        """
        if self.task_identifier is None:
            return JobFilter(ids=frozenset({self.sample}))
        parts = {part.strip() for part in _PLACEHOLDER.split(self.error)}
        telling = frozenset(part for part in parts if len(part) >= _LEAST_TELLING)
        tasks = Choice(frozenset({self.task_identifier}))
        return JobFilter(states=states, tasks=tasks, errors=telling, has_error=None if self.error else False)


@dataclass(frozen=True, slots=True)
class Failures:
    """The groups, largest first, of the newest jobs that were looked at: ``scanned``, at most.

    ``stopped``: why not all were, None where they were. ``left_out``: how many smaller groups there are.
    """

    groups: tuple[FailureGroup, ...]
    left_out: int
    scanned: int
    stopped: ScanStop | None


def list_failures(
    session: Session, schema: str, given: JobFilter | str | None, most: int, limits: ScanLimits
) -> Failures:
    """Group the jobs that fit, newest first; without a state, those that have failed permanently."""
    check_count("most", most, MOST_LISTED)
    wanted = _FAILED if given is None else the_filter(given)
    groups: dict[tuple[str | None, str], FailureGroup] = {}
    with bounded(session, schema, limits) as reading:
        path = path_to(reading, schema, wanted, JobOrder.ID)
        scan = Scan(reading, path, limits, descending=True, step=_FIRST_STEP)

        def look(rows: Range) -> bool:
            for row in reading.ask(error_lines(rows, path.tests)):
                key = (row.identifier, normalised(row.line or ""))
                group = FailureGroup(*key, row.jobs, row.first, row.last, row.sample)
                groups[key] = _merged(groups.get(key), group)
            return False

        scan.run(look)
    found = sorted(groups.values(), key=lambda group: (-group.jobs, group.task_identifier or "", group.error))
    return Failures(tuple(found[:most]), max(0, len(found) - most), scan.scanned, scan.stopped)


def _merged(one: FailureGroup | None, other: FailureGroup) -> FailureGroup:
    if one is None:
        return other
    return FailureGroup(
        one.task_identifier,
        one.error,
        one.jobs + other.jobs,
        min(one.first, other.first),
        max(one.last, other.last),
        max(one.sample, other.sample),
    )
