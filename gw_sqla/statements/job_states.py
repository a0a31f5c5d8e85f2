"""What state a job is in, as SQL: the one place that says so. `gw_sqla.types.JobState` says what the states mean.

    ============  ==========================================================================
    locked        ``locked_at is not null``
    failed        unlocked, ``attempts >= max_attempts``
    ready         ``is_available`` (unlocked, with attempts left), ``run_at <= now()``
    retrying      ``is_available``, ``run_at > now()``, ``attempts > 0``
    scheduled     ``is_available``, ``run_at > now()``, ``attempts <= 0``
    ============  ==========================================================================

A condition is written with the columns that the indexes' own conditions name, so that PostgreSQL finds an index for it;
a test compares both forms. ``now()`` is the time at which the transaction began.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, case, exists, func, literal_column

from gw_sqla.models import Job, JobQueue
from gw_sqla.statements.quoting import TIMESTAMP
from gw_sqla.types import JobState

__all__ = ["NOW", "STATE_OF_J", "WAITING", "has_free_queue", "is_in_state", "state_of"]

_ZERO: ColumnElement[int] = literal_column("0")
NOW = func.pg_catalog.now(type_=TIMESTAMP)

WAITING = frozenset({JobState.READY, JobState.RETRYING, JobState.SCHEDULED})
"""The states of jobs whose turn comes: ``is_available``."""


def state_of() -> ColumnElement[str]:
    """Return the job's state as a column."""
    return case(
        (Job.locked_at.is_not(None), literal_column(f"'{JobState.LOCKED}'")),
        (Job.attempts >= Job.max_attempts, literal_column(f"'{JobState.FAILED}'")),
        (Job.run_at <= NOW, literal_column(f"'{JobState.READY}'")),
        (Job.attempts > _ZERO, literal_column(f"'{JobState.RETRYING}'")),
        else_=literal_column(f"'{JobState.SCHEDULED}'"),
    )


STATE_OF_J = f"""case
    when j.locked_at is not null then '{JobState.LOCKED}'
    when j.attempts >= j.max_attempts then '{JobState.FAILED}'
    when j.run_at <= pg_catalog.now() then '{JobState.READY}'
    when j.attempts > 0 then '{JobState.RETRYING}'
    else '{JobState.SCHEDULED}'
  end"""
"""The same in a statement that is text, of a job ``j``; a test compares them."""


def is_in_state(state: JobState) -> ColumnElement[bool]:
    """Return the condition that a job is in the state."""
    match state:
        case JobState.LOCKED:
            return Job.locked_at.is_not(None)
        case JobState.FAILED:
            return and_(Job.locked_at.is_(None), Job.attempts >= Job.max_attempts)
        case JobState.READY:
            return and_(Job.is_available, Job.run_at <= NOW)
        case JobState.RETRYING:
            return and_(Job.is_available, Job.run_at > NOW, Job.attempts > _ZERO)
        case JobState.SCHEDULED:
            return and_(Job.is_available, Job.run_at > NOW, Job.attempts <= _ZERO)


def has_free_queue() -> ColumnElement[bool]:
    """Return the condition that no worker has the job's queue, if it has one."""
    return ~exists().where(JobQueue.id == Job.job_queue_id, JobQueue.locked_at.is_not(None))
