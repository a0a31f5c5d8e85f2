"""The row of a job whose handler is run by itself, and may complete it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from gw_sqla.calls import adding, changing
from gw_sqla.jobs.job_spec import JobSpec

__all__ = ["add_row"]


def add_row(session: Session, schema: str, spec: JobSpec, attempt: int, max_payload_size: int | None) -> int:
    """Add a job for its ``attempt``, without a queue and a key, which might be others'; return its id."""
    row = adding.add_job(
        session,
        schema,
        spec.task_identifier,
        spec.payload,
        max_payload_size=max_payload_size,
        max_attempts=spec.max_attempts,
        priority=spec.priority,
        flags=spec.flags,
    )
    if attempt > 1:
        changing.reschedule_jobs(session, schema, [row.id], None, None, attempt - 1, None)
    return row.id
