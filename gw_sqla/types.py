"""Names and values that every room shares: JSON, the job key's modes, the states of a job."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

__all__ = ["DEFAULT_SCHEMA", "JSON", "JobKeyMode", "JobState"]

DEFAULT_SCHEMA = "graphile_worker"

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"


class JobKeyMode(StrEnum):
    """What adding a job does when a job already has its key (Graphile Worker's modes).

    A job that is locked or has failed permanently is not replaced by the first two: it loses the key, and
    a new job is added.
    """

    REPLACE = "replace"
    """Replace that job's every property, run_at included."""
    PRESERVE_RUN_AT = "preserve_run_at"
    """Replace all but run_at, while no attempt was made: debounce from the first add."""
    UNSAFE_DEDUPE = "unsafe_dedupe"
    """Change nothing, even if that job is locked or permanently failed: the new job may never run."""


class JobState(StrEnum):
    """What a person would say of a job; derived from its columns, the first that fits, so it has exactly one.

    `gw_sqla.statements.job_states` has the SQL of each. They are those of Graphile Worker, whose "scheduled" holds ours
    and `RETRYING`: whether a job waits for its first attempt or for another is what one looks for in trouble.
    """

    LOCKED = "locked"
    """A worker has it, or had it when it died: it is running."""
    FAILED = "failed"
    """Permanently failed: no attempts are left."""
    READY = "ready"
    """Its run_at has come: a worker may claim it, once its queue is free."""
    RETRYING = "retrying"
    """It has begun before, its run_at is in the future, and attempts are left."""
    SCHEDULED = "scheduled"
    """Its run_at is in the future, and no attempt was made."""
