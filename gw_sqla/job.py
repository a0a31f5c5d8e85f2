"""The values that a job is at each station: to add, as stored, to run, and how it ended.

Frozen, free of sessions and of the database: they can be kept, logged and sent between threads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

from gw_sqla.errors import InvalidJobError
from gw_sqla.types import JobState

__all__ = ["ClaimedJob", "Completed", "Failed", "JobDetails", "JobOptions", "JobRow", "JobSpec", "Outcome", "Returned"]

_SMALLINT = range(-(2**15), 2**15)


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
        _check_text("task_identifier", self.task_identifier, 128)
        if self.queue_name is not None:
            _check_text("queue_name", self.queue_name, 128)
        if self.job_key is not None:
            _check_text("job_key", self.job_key, 512)
        check_run_at(self.run_at)
        check_smallint("priority", self.priority)
        check_smallint("max_attempts", self.max_attempts, least=1)
        _check_flags(self.flags)


def _check_text(argument: str, value: object, most: int) -> None:
    if not isinstance(value, str):
        raise InvalidJobError(argument, f"must be a str, not {type(value).__name__}")
    if not 1 <= len(value) <= most:
        raise InvalidJobError(argument, f"must have 1 to {most} characters, has {len(value)}")
    check_storable(argument, value)


def check_storable(argument: str, value: str) -> None:
    """Raise InvalidJobError if PostgreSQL cannot hold the text: NUL, or a lone surrogate."""
    if "\0" in value:
        raise InvalidJobError(argument, "has a NUL character (U+0000), which PostgreSQL cannot hold; remove it")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidJobError(argument, f"is not valid Unicode: {error.reason} at position {error.start}") from error


def check_run_at(value: object) -> None:
    """Raise InvalidJobError unless ``run_at`` is None or a timezone-aware datetime."""
    if value is None:
        return
    if not isinstance(value, datetime):
        raise InvalidJobError("run_at", f"must be a datetime, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise InvalidJobError("run_at", "has no time zone; use for example datetime.now(timezone.utc)")
    try:
        value.astimezone(UTC)
    except OverflowError as error:
        raise InvalidJobError("run_at", "is beyond the years 1 to 9999 in UTC") from error


def check_smallint(argument: str, value: object, *, least: int = _SMALLINT.start) -> None:
    """Raise InvalidJobError unless the value is None or an int that a smallint column takes."""
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidJobError(argument, f"must be an int, not {type(value).__name__}")
    if not least <= value < _SMALLINT.stop:
        raise InvalidJobError(argument, f"must be {least} to {_SMALLINT.stop - 1}, is {value}")


def _check_flags(flags: object) -> None:
    if flags is None:
        return
    if isinstance(flags, str) or not isinstance(flags, Sequence):
        raise InvalidJobError("flags", f"must be a list of str, not {type(flags).__name__}")
    for flag in flags:
        if not isinstance(flag, str):
            raise InvalidJobError("flags", f"must be a list of str, has a {type(flag).__name__}")
        check_storable("flags", flag)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job as the schema's functions return it: the columns of ``_private_jobs``."""

    id: int
    task_id: int
    job_queue_id: int | None
    payload: Any
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


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDetails(JobRow):
    """A job as it was read, with the names of its task and queue and its state."""

    task_identifier: str
    queue_name: str | None
    state: JobState


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that this worker pool holds the lock of; its fields are the columns of the claim, in order.

    ``payload_text`` is the JSON as stored; ``attempts`` counts this one too.
    """

    id: int
    task_identifier: str
    payload_text: str = field(repr=False)
    queue_name: str | None
    priority: int
    run_at: datetime
    attempts: int
    max_attempts: int
    key: str | None
    flags: dict[str, bool] | None

    @property
    def payload(self) -> Any:
        """The payload as plain JSON, parsed anew at each access."""
        return json.loads(self.payload_text)


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler returned: the job is deleted."""

    job: ClaimedJob


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
