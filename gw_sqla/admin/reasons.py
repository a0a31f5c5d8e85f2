"""The reasons for which a job is not running: values, each with a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from gw_sqla.admin.values import Count
from gw_sqla.admin.workers import Worker
from gw_sqla.jobs.stored_job import JobDetails

__all__ = [
    "AttemptsUsedUp",
    "DueLater",
    "Explanation",
    "FlagsRefused",
    "JobGone",
    "Paused",
    "QueueLocked",
    "Reason",
    "Running",
    "Snoozes",
    "TaskUnknown",
    "Waiting",
]


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
class Paused:
    """Workers of gw_sqla leave it alone: ``kind`` is "everything", "task" or "queue", ``name`` which of these.

    ``until`` is None where somebody must resume it.
    """

    kind: str
    name: str
    since: datetime
    until: datetime | None
    reason: str | None
    paused_by: str | None

    def __str__(self) -> str:
        what = "Everything" if self.kind == "everything" else f"Its {self.kind} {self.name!r}"
        end = f"until {_time(self.until)}" if self.until else "until somebody resumes it"
        who = f", by {self.paused_by}" if self.paused_by else ""
        why = f" ({self.reason})" if self.reason else ""
        return (
            f"{what} is paused since {_time(self.since)}, {end}{who}{why}; workers of Node.js and Rust do not know it."
        )


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
class FlagsRefused:
    """None of the ``workers`` that know its task takes a job with its flags, or without any: they route by flags."""

    flags: frozenset[str]
    workers: int

    def __str__(self) -> str:
        flags = f"the flags {', '.join(sorted(self.flags))}" if self.flags else "no flags"
        return f"None of the {self.workers} workers that know its task takes a job with {flags}."


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


Reason: TypeAlias = (
    JobGone | Running | AttemptsUsedUp | DueLater | Paused | QueueLocked | TaskUnknown | FlagsRefused | Waiting
)
"""Each has ``str``: a sentence."""


@dataclass(frozen=True, slots=True)
class Snoozes:
    """How often gw_sqla's handlers have put the job off (`gw_sqla.Snooze`), when last, and the reason given then.

    The count begins anew after a failure for too many.
    """

    number: int
    last_at: datetime
    reason: str | None

    def __str__(self) -> str:
        times = "once" if self.number == 1 else f"{self.number:,} times, last"
        return f"It was snoozed {times} at {_time(self.last_at)}" + (f": {self.reason}" if self.reason else ".")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why the job is not running (or that it is): the job as it was read, None where it is gone, and all reasons.

    ``snoozes``: how often it was put off before, None where it never was.
    """

    job: JobDetails | None
    reasons: tuple[Reason, ...]
    snoozes: Snoozes | None = None

    def __str__(self) -> str:
        told = [*self.reasons] if self.snoozes is None else [*self.reasons, self.snoozes]
        return " ".join(str(one) for one in told)


def _owner(locked_by: str, worker: Worker | None) -> str:
    if worker is None:
        return f"{locked_by}, which our register does not know (a peer's worker, or one that is gone)"
    place = f"{locked_by} (process {worker.pid} on {worker.host})"
    return place if worker.is_alive else f"{place}, which is dead and will be recovered"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}"
