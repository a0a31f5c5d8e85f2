"""Why a job is not running: every reason that holds now (`gw_sqla.admin.reasons`).

They are found in the order in which a claim would refuse the job, and all of them are told: a job that is due in an
hour and that nobody can run is both. A job for which there is none but others before it, waits for its turn.

What our register does not hold, is not guessed at: workers of Graphile Worker (Node.js and Rust) do not say which
tasks they run, and a worker that does not say which flags it takes counts as one that takes them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from gw_sqla.admin.bounded import BoundedReading, OutOfTimeError, bounded
from gw_sqla.admin.paths import path_to
from gw_sqla.admin.reasons import (
    AttemptsUsedUp,
    DueLater,
    Explanation,
    FlagsRefused,
    JobGone,
    Paused,
    QueueLocked,
    Reason,
    Running,
    Snoozes,
    TaskUnknown,
    Waiting,
)
from gw_sqla.admin.scanning import Scan
from gw_sqla.admin.values import Count, JobOrder, ScanLimits
from gw_sqla.admin.workers import Worker, find_parts, known_workers
from gw_sqla.filters.fields import Choice
from gw_sqla.filters.job_filter import JobFilter
from gw_sqla.jobs.argument_checks import check_ids
from gw_sqla.jobs.stored_job import JobDetails
from gw_sqla.statements import job_queries, job_reports, pauses
from gw_sqla.statements.job_pages import count, place_of
from gw_sqla.statements.job_ranges import Place, Range
from gw_sqla.statements.job_states import has_free_queue
from gw_sqla.statements.snoozes import find_snoozes
from gw_sqla.types import JobState

__all__ = ["explain_job"]

_MOST_BEFORE = 10_000
Workers = dict[str, Worker]


def explain_job(session: Session, schema: str, job_id: int, limits: ScanLimits) -> Explanation:
    """Find the reasons."""
    [job_id] = check_ids([job_id], "job_id")
    with bounded(session, schema, limits) as reading:
        rows = reading.ask(job_queries.get_job(job_id))
        if not rows:
            return Explanation(None, (JobGone(job_id),))
        columns = list(rows[0])
        columns[-1] = JobState(columns[-1])
        job = JobDetails(*columns)
        [now] = reading.ask(job_reports.now(schema))
        parts = find_parts(reading, schema)
        workers = {worker.pool_id: worker for worker in known_workers(reading, schema, parts)}
        snoozes = _snoozes(reading, schema, job_id) if parts.snoozes else None
        match job.state:
            case JobState.LOCKED:
                owner = job.locked_by or ""
                reasons: list[Reason] = [Running(owner, job.locked_at or now.now, job.attempts, workers.get(owner))]
            case JobState.FAILED:
                line = (job.last_error or "").strip().partition("\n")[0][: job_reports.LONGEST_LINE] or None
                reasons = [AttemptsUsedUp(job.attempts, job.max_attempts, line)]
            case _:
                paused = list(_pauses(reading, schema, job)) if parts.pauses else []
                reasons = [*paused, *_of_waiting(reading, schema, job, now.now, workers, limits)]
                if paused:
                    reasons = [reason for reason in reasons if not isinstance(reason, Waiting)]
    return Explanation(job, tuple(reasons), snoozes)


def _snoozes(reading: BoundedReading, schema: str, job_id: int) -> Snoozes | None:
    for row in reading.ask(find_snoozes(schema), {"id": job_id}):
        return Snoozes(row.snoozes, row.last_at, row.reason)
    return None


def _pauses(reading: BoundedReading, schema: str, job: JobDetails) -> Iterator[Paused]:
    for row in reading.ask(pauses.find_pauses(schema)):
        if (row.kind, row.name) in {("everything", ""), ("task", job.task_identifier), ("queue", job.queue_name)}:
            yield Paused(row.kind, row.name, row.paused_at, row.paused_until, row.reason, row.paused_by)


def _of_waiting(
    reading: BoundedReading, schema: str, job: JobDetails, now: datetime, workers: Workers, limits: ScanLimits
) -> Iterator[Reason]:
    if job.run_at > now:
        yield DueLater(job.run_at, job.run_at - now, job.attempts)
    if job.job_queue_id is not None:
        for queue in reading.ask(job_reports.queue_of(schema), {"id": job.job_queue_id}):
            if queue.locked_at is not None:
                owner = queue.locked_by or ""
                yield QueueLocked(queue.queue_name, owner, queue.locked_at, workers.get(owner))
    living = [worker for worker in workers.values() if worker.is_alive]
    knowing = [worker for worker in living if worker.knows(job.task_identifier)]
    flags = _flags(job)
    taking = [worker for worker in knowing if worker.takes(flags)]
    if not knowing:
        yield TaskUnknown(job.task_identifier, len(living))
    elif not taking:
        yield FlagsRefused(flags, len(knowing))
    elif job.state is JobState.READY:
        slots = sum(worker.concurrency or 0 for worker in taking)
        yield Waiting(_before(reading, schema, job, limits), job.queue_name, len(taking), slots)


def _flags(job: JobDetails) -> frozenset[str]:
    """Return the flags as a claim sees them, whatever JSON there is."""
    flags: Any = job.flags
    if isinstance(flags, str):
        return frozenset({flags})
    return frozenset(flag for flag in flags if isinstance(flag, str)) if isinstance(flags, dict | list) else frozenset()


def _before(reading: BoundedReading, schema: str, job: JobDetails, limits: ScanLimits) -> Count:
    """Count the ready jobs whose turn is before: in its queue if it has one, else all but those in locked queues."""
    queues = None if job.queue_name is None else Choice(frozenset({job.queue_name}))
    given = JobFilter(states=frozenset({JobState.READY}), queues=queues)
    within = replace(limits, rows=min(limits.rows, _MOST_BEFORE))
    before = 0
    try:
        [place] = reading.ask(place_of(job.id))
        path = path_to(reading, schema, given, JobOrder.TURN)
        scan = Scan(reading, path, within, descending=True, reached=Place(*place))
        tests = path.tests if queues is not None else (*path.tests, has_free_queue())

        def look(rows: Range) -> bool:
            nonlocal before
            before += reading.ask(count(rows, tests, within.rows))[0].jobs
            return False

        scan.run(look)
    except OutOfTimeError:
        return Count(before, is_exact=False)
    return Count(before, scan.stopped is None)
