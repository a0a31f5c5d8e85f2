"""Removes a job by its key, by ``remove_job``: one that a worker has finishes, and is not tried again.

Not an `gw_sqla.admin.actions.Action`: those leave alone what a worker has.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from gw_sqla.admin.audit import check_audit, write
from gw_sqla.calls import changing
from gw_sqla.calls.asking import require_transaction
from gw_sqla.filters.words import quoted
from gw_sqla.jobs.stored_job import JobRow

__all__ = ["remove_job"]


def remove_job(session: Session, schema: str, job_key: str, actor: str | None) -> JobRow | None:
    """Remove the job with this key."""
    if actor is not None:
        require_transaction(session, schema)
        check_audit(session, schema, actor)
    job = changing.remove_job(session, schema, job_key)
    if actor is not None:
        is_held = job is not None and job.key is None
        detail = "a worker has it: no further attempt" if is_held else None
        write(session, schema, actor, "remove", detail, f"key:{quoted(job_key)}", int(job is not None), 0)
    return job
