"""Events: what observers are told, beside the outcomes of jobs (`gw_sqla.jobs.outcomes`).

``at`` is when it happened, by this machine's clock, in UTC; an observer may be told later. Durations are in seconds,
measured by a clock that nobody sets. No event has a payload of its own or the text of a statement; those of jobs have
the job, whose ``repr`` leaves the payload out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Completed, CompletedByHandler, Failed, Kept, Outcome, Returned, Snoozed
from gw_sqla.jobs.pause import PauseSeen

__all__ = [
    "METHODS",
    "CronJobsScheduled",
    "CronTick",
    "DatabaseFault",
    "DatabaseFaultOver",
    "Event",
    "HeartbeatSent",
    "JobStarted",
    "JobsClaimed",
    "JobsRecovered",
    "ListenerLost",
    "ListenerUp",
    "LockLost",
    "OutcomesWritten",
    "StaleLocksFreed",
    "Swept",
    "WorkerStarted",
    "WorkerStopped",
    "WorkerStopping",
]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Happened:
    at: datetime = field(default_factory=_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStarted(_Happened):
    """The worker is registered, and begins to claim. ``tasks``: identifiers; ``slots``: its concurrency."""

    pool_id: str
    tasks: tuple[str, ...]
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStopping(_Happened):
    """A stop was asked for: no more jobs are claimed. ``running``: how many jobs go on."""

    pool_id: str
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStopped(_Happened):
    """All has ended. ``seconds``: since it started; the others are how many runs of jobs ended how."""

    pool_id: str
    seconds: float
    completed: int
    failed: int
    snoozed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsClaimed(_Happened):
    """A claim was answered: ``wanted`` jobs were asked for, ``count`` were there, after ``seconds``.

    Told too, with 0 of both, where nothing was asked for since all of the worker's tasks are paused.
    """

    count: int
    wanted: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted(_Happened):
    """A job's handler, or its interceptors, are called, or it is handed to its sink.

    ``wait_seconds``: since it was due (``run_at``): in the table by the database's clock, in this worker by its own.
    """

    job: ClaimedJob
    wait_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LockLost(_Happened):
    """The outcome was not written: the job is another's, or nobody's, by now; or the database refuses it for good.

    In the latter case, which is logged with its reason, the job stays locked until recovery.
    """

    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomesWritten(_Happened):
    """A batch of outcomes was written: ``count``, in ``seconds``, of which ``repeats`` tries were for nothing."""

    count: int
    seconds: float
    repeats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsRecovered(_Happened):
    """A dead worker's locks were freed: ``worker`` says whose, ``final_ids`` are those without an attempt left."""

    worker: str
    job_ids: tuple[int, ...]
    final_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleLocksFreed(_Happened):
    """Locks of over 4 hours, whose owners do not say that they live, were freed; so many jobs and queues."""

    owners: tuple[str, ...]
    jobs: int
    queues: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept(_Happened):
    """A sweep is done: it took ``seconds``, and found so many dead ``workers``."""

    workers: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatSent(_Happened):
    """The worker has said that it lives, and was answered after ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CronTick(_Happened):
    """A minute of the crontab has come; ``items`` are due, ``late_seconds`` after its beginning."""

    minute: datetime
    items: int
    late_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CronJobsScheduled(_Happened):
    """This worker, before all others, has added the jobs of these cron items for a minute.

    ``backfilled``: the minute had passed while no worker ran.
    """

    minute: datetime
    identifiers: tuple[str, ...]
    backfilled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerUp(_Happened):
    """The worker hears notifications, for the first time, or again after ``faults`` tries."""

    faults: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLost(_Happened):
    """The worker hears no notifications, and polls until it does; ``reason`` is a text for people."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFault(_Happened):
    """Something has failed and is tried again until it works; told once for an outage of it.

    ``doing`` says what ("claiming jobs"), ``reason`` why; both are texts for people. A sink's outage is told too.
    """

    doing: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFaultOver(_Happened):
    """It works again, after so many ``faults`` in ``seconds``."""

    doing: str
    faults: int
    seconds: float


Event: TypeAlias = (
    WorkerStarted
    | WorkerStopping
    | WorkerStopped
    | JobsClaimed
    | JobStarted
    | Completed
    | Failed
    | Snoozed
    | Returned
    | LockLost
    | OutcomesWritten
    | JobsRecovered
    | StaleLocksFreed
    | Swept
    | HeartbeatSent
    | CronTick
    | CronJobsScheduled
    | ListenerUp
    | ListenerLost
    | DatabaseFault
    | DatabaseFaultOver
    | PauseSeen
)

METHODS: dict[type, str] = {
    WorkerStarted: "worker_started",
    WorkerStopping: "worker_stopping",
    WorkerStopped: "worker_stopped",
    JobsClaimed: "jobs_claimed",
    JobStarted: "job_started",
    Completed: "job_completed",
    CompletedByHandler: "job_completed",
    Kept: "job_completed",
    Failed: "job_failed",
    Snoozed: "job_snoozed",
    Returned: "job_returned",
    LockLost: "lock_lost",
    OutcomesWritten: "outcomes_written",
    JobsRecovered: "jobs_recovered",
    StaleLocksFreed: "stale_locks_freed",
    Swept: "swept",
    HeartbeatSent: "heartbeat_sent",
    CronTick: "cron_tick",
    CronJobsScheduled: "cron_jobs_scheduled",
    ListenerUp: "listener_up",
    ListenerLost: "listener_lost",
    DatabaseFault: "database_fault",
    DatabaseFaultOver: "database_fault_over",
    PauseSeen: "pause_seen",
}
"""The method of `gw_sqla.Observer` that is told of each."""
