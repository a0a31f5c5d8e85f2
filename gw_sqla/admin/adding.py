"""Adding a job by hand, with a line in the audit: what an application does by its repository, somebody did here."""

from __future__ import annotations

from typing import Any, Unpack

from sqlalchemy.orm import Session

from gw_sqla.admin.audit import check_audit, write
from gw_sqla.calls import adding
from gw_sqla.jobs.job_spec import JobOptions
from gw_sqla.jobs.payload_size import MAX_PAYLOAD_SIZE
from gw_sqla.jobs.stored_job import JobRow
from gw_sqla.jobs.task import Task, identifier_of
from gw_sqla.types import JobKeyMode

__all__ = ["add_and_tell", "add_job"]


def add_job(
    session: Session,
    schema: str,
    task: Task[Any] | str,
    payload: Any,
    job_key_mode: JobKeyMode | None,
    actor: str | None,
    **options: Unpack[JobOptions],
) -> JobRow:
    """Add a job."""
    detail = f"task={identifier_of(task)}"
    return add_and_tell(session, schema, task, payload, job_key_mode, actor, action="add", detail=detail, **options)


def add_and_tell(
    session: Session,
    schema: str,
    task: Task[Any] | str,
    payload: Any,
    job_key_mode: JobKeyMode | None,
    actor: str | None,
    *,
    action: str,
    detail: str,
    **options: Unpack[JobOptions],
) -> JobRow:
    """Add a job, and a line that names the actor, if there is one."""
    check_audit(session, schema, actor)
    job = adding.add_job(session, schema, task, payload, job_key_mode, max_payload_size=MAX_PAYLOAD_SIZE, **options)
    if actor is not None:
        write(session, schema, actor, action, detail, f"id:{job.id}", 1, 0)
    return job
