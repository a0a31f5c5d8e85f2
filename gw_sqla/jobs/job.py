"""The values that a job is at each station: to add, as stored, to run, and how it ended.

Frozen, free of sessions and of the database: they can be kept, logged and sent between threads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypedDict

from gw_sqla.jobs.argument_checks import check_flags, check_run_at, check_smallint, check_text
from gw_sqla.types import JobState

__all__ = [
    "ClaimedJob",
    "Completed",
    "CompletedByHandler",
    "Failed",
    "JobDetails",
    "JobOptions",
    "JobRow",
    "JobSpec",
    "Outcome",
    "Returned",
]


class JobOptions(TypedDict, total=False):
    """What a job can be given beside its task and payload, as keywords; see `JobSpec`."""

    queue_name: str | None
    run_at: datetime | None
    max_attempts: int | None
    job_key: str | None
    priority: int | None
    flags: Sequence[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A job to add. What is None takes the schema's default.

    Parameters: ``task_identifier`` (1 to 128 characters); ``payload`` (any JSON value, default
    ``{}``); ``queue_name`` (a serial lane, 1 to 128 characters); ``run_at`` (timezone-aware, default
    the transaction's start); ``max_attempts`` (1 to 32767, default 25); ``job_key`` (1 to 512
    characters, unique in the whole schema); ``priority`` (-32768 to 32767, lower runs sooner,
    default 0); ``flags`` (names that workers can forbid).

    Raises InvalidJobError, which names the argument, for what the database would refuse.
    """

    task_identifier: str
    payload: Any = None
    queue_name: str | None = None
    run_at: datetime | None = None
    max_attempts: int | None = None
    job_key: str | None = None
    priority: int | None = None
    flags: Sequence[str] | None = None

    def __post_init__(self) -> None:
        check_text("task_identifier", self.task_identifier, 128)
        if self.queue_name is not None:
            check_text("queue_name", self.queue_name, 128)
        if self.job_key is not None:
            check_text("job_key", self.job_key, 512)
        check_run_at(self.run_at)
        check_smallint("priority", self.priority)
        check_smallint("max_attempts", self.max_attempts, least=1)
        check_flags(self.flags)


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as the schema's functions return it; its fields are the columns of ``_private_jobs``, in order.

    ``payload_text`` is the JSON as stored, parsed when ``payload`` is asked for: a payload that Python
    cannot parse (nested too deeply, say) does not stand in the way of looking at its job or removing it.
    """

    id: int
    task_id: int
    job_queue_id: int | None
    payload_text: str = field(repr=False)
    priority: int
    run_at: datetime
    attempts: int
    max_attempts: int
    last_error: str | None
    created_at: datetime
    updated_at: datetime
    key: str | None
    locked_at: datetime | None
    locked_by: str | None
    revision: int
    flags: dict[str, bool] | None

    @property
    def payload(self) -> Any:
        """The payload as plain JSON, parsed anew at each access."""
        return json.loads(self.payload_text)


@dataclass(frozen=True, slots=True)
class JobDetails(JobRow):
    """A job as it was read, with the names of its task and queue and its state.

    ``task_identifier`` is None where a peer's clean-up removed the task's row under the job.
    """

    task_identifier: str | None
    queue_name: str | None
    state: JobState


class ClaimedJob(NamedTuple):
    """A job that this worker pool holds the lock of; its fields are the columns of the claim, in order.

    ``payload_text`` and ``flags_text`` are the JSON as stored; ``attempts`` counts this one too. A named tuple,
    because one is made for every job, and a frozen dataclass takes more than twice as long.
    """

    id: int
    task_identifier: str
    payload_text: str
    queue_name: str | None
    priority: int
    run_at: datetime
    attempts: int
    max_attempts: int
    key: str | None
    flags_text: str | None

    @property
    def payload(self) -> Any:
        """The payload as plain JSON, parsed anew at each access."""
        return json.loads(self.payload_text)

    @property
    def flags(self) -> dict[str, bool] | None:
        """The flags, each true; None where there are none."""
        return None if self.flags_text is None else json.loads(self.flags_text)

    def __repr__(self) -> str:  # the payload may be a secret
        return f"ClaimedJob(id={self.id}, task_identifier={self.task_identifier!r}, attempts={self.attempts})"


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler returned: the job is deleted."""

    job: ClaimedJob


@dataclass(frozen=True, slots=True)
class CompletedByHandler(Completed):
    """The handler's own transaction has deleted the job already: nothing is left to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The handler failed: the job waits for another attempt, or has failed permanently.

    ``retry_after`` replaces the contract's backoff; ``payload_text`` replaces the payload (the
    failed items of a batch job).
    """

    job: ClaimedJob
    message: str
    permanently: bool = False
    retry_after: timedelta | None = None
    payload_text: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether no further attempt will be made."""
        return self.permanently or self.job.attempts >= self.job.max_attempts


@dataclass(frozen=True, slots=True)
class Returned:
    """The job was not started: its lock goes, its attempt is given back."""

    job: ClaimedJob


Outcome = Completed | Failed | Returned
