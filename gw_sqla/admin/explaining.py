"""Why a job is not running: every reason that holds now, each a value with a sentence.

They are found in the order in which a claim would refuse the job, and all of them are told: a job that is due in an
hour and that nobody can run is both. A job for which there is none but others before it, waits for its turn.

What our register does not hold, is not guessed at: workers of Graphile Worker (Node.js and Rust) do not say which
tasks they run, and a worker that does not say which flags it forbids counts as one that takes them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from sqlalchemy.orm import Session

from gw_sqla.admin.bounded import BoundedReading, OutOfTimeError, bounded
from gw_sqla.admin.values import Count, ScanLimits
from gw_sqla.admin.workers import Worker, find_parts, known_workers
from gw_sqla.jobs.argument_checks import check_ids
from gw_sqla.jobs.stored_job import JobDetails
from gw_sqla.statements import job_queries, job_reports
from gw_sqla.types import JobState

__all__ = [
    "AttemptsUsedUp",
    "DueLater",
    "Explanation",
    "FlagsForbidden",
    "JobGone",
    "QueueLocked",
    "Reason",
    "Running",
    "TaskUnknown",
    "Waiting",
    "explain_job",
]

_MOST_BEFORE = 10_000


@dataclass(frozen=True, slots=True)
class JobGone:
    """There is no job of this id."""

    job_id: int

    def __str__(self) -> str:
        return f"There is no job {self.job_id}: it was completed or removed, which both delete it, or it never was."


@dataclass(frozen=True, slots=True)
class Running:
    """A worker has it. ``worker`` is None where that is none of ours: a peer's, or one that is gone."""

    locked_by: str
    since: datetime
    attempt: int
    worker: Worker | None

    def __str__(self) -> str:
        owner = _owner(self.locked_by, self.worker)
        return f"It is running, attempt {self.attempt}, since {_time(self.since)}, at {owner}."


@dataclass(frozen=True, slots=True)
class AttemptsUsedUp:
    """It has failed permanently; ``error`` is the first line of last_error."""

    attempts: int
    max_attempts: int
    error: str | None

    def __str__(self) -> str:
        told = f": {self.error}" if self.error else "."
        return f"It has failed permanently, {self.attempts} of {self.max_attempts} attempts are used up{told}"


@dataclass(frozen=True, slots=True)
class DueLater:
    """Its run_at is ``due_in`` from now. ``attempts``: how many it has made before."""

    run_at: datetime
    due_in: timedelta
    attempts: int

    def __str__(self) -> str:
        again = f", after attempt {self.attempts}" if self.attempts else ""
        wait = timedelta(seconds=round(self.due_in.total_seconds()))
        return f"It is due later{again}: at {_time(self.run_at)}, in {wait}."


@dataclass(frozen=True, slots=True)
class QueueLocked:
    """Its queue runs one job at a time, and a worker has the queue. ``worker``: as in `Running`."""

    queue_name: str
    locked_by: str
    since: datetime
    worker: Worker | None

    def __str__(self) -> str:
        owner = _owner(self.locked_by, self.worker)
        return f"Its queue {self.queue_name!r} is locked since {_time(self.since)}, by {owner}."


@dataclass(frozen=True, slots=True)
class TaskUnknown:
    """No worker of gw_sqla's that lives knows its task; ``workers`` of them live.

    ``task_identifier`` is None where the task's row is gone: then nobody can run it.
    """

    task_identifier: str | None
    workers: int

    def __str__(self) -> str:
        if self.task_identifier is None:
            return "The row of its task is gone, so no worker can claim it: add the job anew."
        who = f"None of the {self.workers} workers that live knows" if self.workers else "No worker lives that knows"
        return f"{who} its task {self.task_identifier!r} (workers of Graphile Worker do not say what they run)."


@dataclass(frozen=True, slots=True)
class FlagsForbidden:
    """Each worker that knows its task forbids one of its flags: ``flags`` are those, ``workers`` is how many."""

    flags: frozenset[str]
    workers: int

    def __str__(self) -> str:
        named = ", ".join(sorted(self.flags))
        return f"All {self.workers} workers that know its task forbid a flag that it has: {named}."


@dataclass(frozen=True, slots=True)
class Waiting:
    """It is ready. ``before``: how many ready jobs have their turn first, in its queue if it has one.

    ``workers`` that know its task live, with ``slots`` in all.
    """

    before: Count
    queue_name: str | None
    workers: int
    slots: int

    def __str__(self) -> str:
        where = f" in its queue {self.queue_name!r}" if self.queue_name else ""
        turn = f"waits behind {self.before} other jobs{where}" if self.before.number else "is next"
        if not self.before.number and not self.before.is_exact:
            turn = "waits behind jobs that were not all counted"
        return f"It is ready and {turn}; {self.workers} workers with {self.slots} slots know its task."


Reason: TypeAlias = JobGone | Running | AttemptsUsedUp | DueLater | QueueLocked | TaskUnknown | FlagsForbidden | Waiting
"""Each has ``str``: a sentence."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why the job is not running (or that it is): the job as it was read, None where it is gone, and all reasons."""

    job: JobDetails | None
    reasons: tuple[Reason, ...]

    def __str__(self) -> str:
        return " ".join(str(reason) for reason in self.reasons)


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
        return Explanation(job, tuple(_reasons(reading, schema, job, now.now, limits)))


def _reasons(reading: BoundedReading, schema: str, job: JobDetails, now: datetime, limits: ScanLimits) -> list[Reason]:
    parts = find_parts(reading, schema)
    workers = {worker.pool_id: worker for worker in known_workers(reading, schema, parts)}
    if job.state is JobState.LOCKED:
        owner = job.locked_by or ""
        return [Running(owner, job.locked_at or now, job.attempts, workers.get(owner))]
    if job.state is JobState.FAILED:
        line = job.last_error.partition("\n")[0][: job_reports.LONGEST_LINE] if job.last_error else None
        return [AttemptsUsedUp(job.attempts, job.max_attempts, line)]
    reasons: list[Reason] = []
    if job.run_at > now:
        reasons.append(DueLater(job.run_at, job.run_at - now, job.attempts))
    if job.job_queue_id is not None:
        for queue in reading.ask(job_reports.queue_of(schema), {"id": job.job_queue_id}):
            if queue.locked_at is not None:
                owner = queue.locked_by or ""
                reasons.append(QueueLocked(queue.queue_name, owner, queue.locked_at, workers.get(owner)))
    living = [worker for worker in workers.values() if worker.is_alive]
    knowing = [worker for worker in living if worker.knows(job.task_identifier)]
    flags = frozenset(job.flags or ())
    if not knowing:
        reasons.append(TaskUnknown(job.task_identifier, len(living)))
    elif all(flags & (worker.forbidden_flags or frozenset()) for worker in knowing):
        forbidden = frozenset[str]().union(*(worker.forbidden_flags or () for worker in knowing))
        reasons.append(FlagsForbidden(flags & forbidden, len(knowing)))
    if job.state is JobState.READY and (not reasons or isinstance(reasons[0], QueueLocked)):
        slots = sum(worker.concurrency or 0 for worker in knowing)
        reasons.append(Waiting(_before(reading, schema, job, limits), job.queue_name, len(knowing), slots))
    return reasons


def _before(reading: BoundedReading, schema: str, job: JobDetails, limits: ScanLimits) -> Count:
    in_queue = job.job_queue_id is not None
    rows = min(limits.rows, _MOST_BEFORE)
    parameters = {"id": job.id, "rows": rows + 1} | ({"queue_id": job.job_queue_id} if in_queue else {})
    try:
        [found] = reading.ask(job_reports.jobs_before(schema, in_queue=in_queue), parameters)
    except OutOfTimeError:
        return Count(0, is_exact=False)
    return Count(min(found.jobs, rows), found.seen <= rows)


def _owner(locked_by: str, worker: Worker | None) -> str:
    if worker is None:
        return f"{locked_by}, which our register does not know (a peer's worker, or one that is gone)"
    place = f"{locked_by} (process {worker.pid} on {worker.host})"
    return place if worker.is_alive else f"{place}, which is dead and will be recovered"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}"
