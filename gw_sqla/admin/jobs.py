"""Pages of jobs, and how many there are."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from gw_sqla.admin.bounded import BoundedReading, OutOfTimeError, bounded
from gw_sqla.admin.cursors import Cursor, read_cursor, write_cursor
from gw_sqla.admin.paths import check_order, path_to, the_filter
from gw_sqla.admin.scanning import Scan
from gw_sqla.admin.values import MOST_LISTED, Count, JobOrder, JobPage, ScanLimits, ScanStop
from gw_sqla.filters.job_filter import JobFilter
from gw_sqla.jobs.argument_checks import check_bool, check_count, check_member
from gw_sqla.jobs.stored_job import ListedJob
from gw_sqla.statements import job_pages
from gw_sqla.statements.job_ranges import Place, Range
from gw_sqla.statements.job_states import WAITING, is_in_state
from gw_sqla.types import JobState

__all__ = ["MOST_COUNTED", "count_fitting", "count_jobs", "list_jobs", "read_page"]

MOST_COUNTED = 10_000_000


def list_jobs(
    session: Session,
    schema: str,
    given: JobFilter | str | None,
    order: JobOrder,
    descending: bool,
    cursor: str | None,
    limit: int,
    limits: ScanLimits,
) -> JobPage:
    """Read a page."""
    check_count("limit", limit, MOST_LISTED)
    check_bool("descending", descending)
    order = check_member(JobOrder, "order", order)
    wanted = the_filter(given)
    check_order(wanted, order)
    start = None if cursor is None else read_cursor(cursor, order, descending)
    with bounded(session, schema, limits) as reading:
        return read_page(reading, schema, wanted, order, descending, start, limit, limits)


def read_page(
    reading: BoundedReading,
    schema: str,
    wanted: JobFilter,
    order: JobOrder,
    descending: bool,
    start: Cursor | None,
    limit: int,
    limits: ScanLimits,
) -> JobPage:
    """Read a page from a cursor on; raises OutOfTimeError where not a single step could be made."""
    backwards = start is not None and start.backwards
    found: list[tuple[ListedJob, Place]] = []
    path = path_to(reading, schema, wanted, order, descending=descending != backwards)
    begin = path.start if start is None else start.place
    scan = Scan(reading, path, limits, descending != backwards, begin)

    def look(rows: Range) -> bool:
        page = reading.ask(job_pages.page(rows, path.tests, limit + 1 - len(found)))
        found.extend(_listed(row, path.by_turn) for row in page)
        return len(found) > limit

    scan.run(look)
    if scan.stopped is ScanStop.TIME and not found and scan.reached == begin:
        raise OutOfTimeError  # a page with no way on would look like the last one

    jobs = found[:limit]
    onward: Place | None = None
    if len(found) > limit:
        onward = jobs[-1][1]
        scan.stopped = None
    elif scan.stopped is not None:
        onward = scan.reached
    back = jobs[0][1] if jobs else (start.place if start else None)

    def text(place: Place | None, *, to_previous: bool) -> str | None:
        return None if place is None else write_cursor(Cursor(order, descending, to_previous, place))

    if backwards:
        jobs.reverse()
        following, preceding = text(back, to_previous=False), text(onward, to_previous=True)
    else:
        following, preceding = text(onward, to_previous=False), text(back if start else None, to_previous=True)
    return JobPage(tuple(job for job, _ in jobs), following, preceding, scan.scanned, scan.stopped)


def count_jobs(session: Session, schema: str, given: JobFilter | str | None, most: int, limits: ScanLimits) -> Count:
    """Count the jobs that fit, no further than ``most``."""
    check_count("most", most, MOST_COUNTED)
    wanted = the_filter(given)
    with bounded(session, schema, limits) as reading:
        return count_fitting(reading, schema, wanted, most, limits)[0]


def count_fitting(
    reading: BoundedReading, schema: str, wanted: JobFilter, most: int, limits: ScanLimits, *, held: bool = False
) -> tuple[Count, Count]:
    """Count the jobs that fit, and, if ``held``, those of them that a worker has."""
    order = JobOrder.TURN if wanted.states and wanted.states <= WAITING else JobOrder.ID
    is_held = is_in_state(JobState.LOCKED)
    jobs = locked = 0
    try:
        path = path_to(reading, schema, wanted, order)
    except OutOfTimeError:
        return Count(0, is_exact=False), Count(0, is_exact=False)
    scan = Scan(reading, path, limits, reached=path.start)

    def look(rows: Range) -> bool:
        nonlocal jobs, locked
        if held:
            [row] = reading.ask(job_pages.count(rows, (is_held, *path.tests), most + 1 - locked))
            locked += row.jobs
        [row] = reading.ask(job_pages.count(rows, path.tests, most + 1 - jobs))
        jobs += row.jobs
        return bool(jobs > most)

    scan.run(look)
    is_exact = jobs <= most and scan.stopped is None
    return Count(min(jobs, most), is_exact), Count(min(locked, most), is_exact)


def _listed(row: Any, by_turn: bool) -> tuple[ListedJob, Place]:
    columns: list[Any] = list(row)
    run_at = columns.pop()
    columns[-2] = JobState(columns[-2])
    job = ListedJob(*columns)
    return job, Place(job.id, job.priority, run_at) if by_turn else Place(job.id)
