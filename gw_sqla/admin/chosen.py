"""Which jobs somebody acts on: ids, or those that fit a filter; a thousand after the other, by id, from a cursor on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from gw_sqla.admin.bounded import bounded
from gw_sqla.admin.paths import path_to, the_filter
from gw_sqla.admin.scanning import Scan
from gw_sqla.admin.values import JobOrder, ScanLimits
from gw_sqla.calls.asking import ask
from gw_sqla.errors import InvalidFilterError, InvalidJobError, ReadTimeoutError
from gw_sqla.filters.job_filter import JobFilter
from gw_sqla.jobs.argument_checks import check_ids
from gw_sqla.statements import job_actions, job_pages
from gw_sqla.statements.job_conditions import conditions
from gw_sqla.statements.job_ranges import Place, Range

__all__ = ["FittingJobs", "Jobs", "ListedJobs", "chosen_ids", "jobs_to_take"]

Jobs: TypeAlias = JobFilter | str | Iterable[int] | int
"""A filter, its text, or ids of jobs."""

_CURSOR = re.compile(r"(\d{1,19})(?:-(\d{1,19}))?", re.ASCII)


def chosen_ids(jobs: Jobs) -> JobFilter | list[int]:
    """Return the filter, or the ids in order; raises InvalidJobError for neither, and for a filter of all jobs."""
    if isinstance(jobs, int):
        return check_ids([jobs], "jobs")
    if not isinstance(jobs, JobFilter | str):
        return sorted(set(check_ids(jobs, "jobs")))
    given = the_filter(jobs)
    if given.is_everything:
        raise InvalidFilterError("", "says all jobs; if all are meant, say id:>=0")
    return given


def jobs_to_take(
    session: Session, schema: str, chosen: JobFilter | list[int], cursor: str | None, limits: ScanLimits
) -> ListedJobs | FittingJobs:
    """Return what gives their ids, from the cursor on.

    Both kinds have: ``take``, the next ids, ascending (none where it had to stop looking, or at the end); ``has_more``;
    ``cursor``, where it goes on; ``conditions``, what a job must still fit when it is its turn.
    """
    after, newest = _read(cursor)
    if isinstance(chosen, JobFilter):
        return FittingJobs(session, schema, chosen, limits, after, newest)
    return ListedJobs(chosen, after)


def _read(cursor: str | None) -> tuple[int | None, int | None]:
    if cursor is None:
        return None, None
    match = _CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
    numbers = [int(number) for number in match.groups() if number is not None] if match else []
    if not numbers or max(numbers) >= 2**63:
        raise InvalidJobError("cursor", f"{cursor!r} is none that acting has returned")
    return numbers[0], numbers[1] if len(numbers) > 1 else None


class ListedJobs:
    """Ids that were given."""

    def __init__(self, ids: list[int], after: int | None) -> None:
        self.conditions: Sequence[ColumnElement[bool]] = ()
        self._ids = [job_id for job_id in ids if after is None or job_id > after]
        self._after = after or 0

    @property
    def has_more(self) -> bool:
        return bool(self._ids)

    @property
    def cursor(self) -> str:
        return str(self._after)

    def take(self, size: int) -> list[int]:
        taken, self._ids = self._ids[:size], self._ids[size:]
        self._after = taken[-1] if taken else self._after
        return taken


class FittingJobs:
    """Those that fit a filter, up to the newest there was when it began."""

    def __init__(
        self,
        session: Session,
        schema: str,
        given: JobFilter,
        limits: ScanLimits,
        after: int | None,
        newest: int | None,
    ) -> None:
        self._session, self._schema, self._given, self._limits = session, schema, given, limits
        self.conditions: Sequence[ColumnElement[bool]] = conditions(given)
        self._after = -1 if after is None else after
        if newest is None:
            [row] = ask(session, schema, job_actions.newest(schema))
            newest = int(row.id)
        self._newest = newest
        self.has_more = self._after < newest

    @property
    def cursor(self) -> str:
        return f"{max(self._after, 0)}-{self._newest}"

    def take(self, size: int) -> list[int]:
        found: list[int] = []
        start = Place(self._after) if self._after >= 0 else None
        with bounded(self._session, self._schema, self._limits) as reading:
            path = path_to(reading, self._schema, self._given, JobOrder.ID)
            scan = Scan(reading, path, self._limits, reached=start)

            def look(rows: Range) -> bool:
                ids = reading.ask(job_pages.ids(rows, path.tests, size - len(found)))
                found.extend(row.id for row in ids)
                return len(found) >= size

            scan.run(look)
        if len(found) >= size:
            self._after = found[-1]
        elif scan.stopped is None:
            self._after = self._newest
        elif scan.reached is None or scan.reached == start:
            raise ReadTimeoutError(self._limits.timeout)
        else:
            self._after = scan.reached.id
        self.has_more = self._after < self._newest
        return [job_id for job_id in found if job_id <= self._newest]
