"""The columns of a job as it is read, in the order of `gw_sqla.jobs.stored_job.JobDetails`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, case, cast, func, literal_column, select

from gw_sqla.models import Job, JobQueue, Task
from gw_sqla.statements.job_states import state_of
from gw_sqla.statements.quoting import FIRST_DAY, JOB_COLUMNS, LAST_DAY, TEXT, TIMESTAMP

__all__ = ["details"]


def details(**expressions: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    """Select jobs with the names of their tasks and queues and their state: the columns of JobDetails.

    ``expressions`` stand in place of columns.
    """
    columns: dict[str, Any] = {
        "payload_text": cast(Job.payload, TEXT),
        "run_at": _in_python(Job.run_at),
        "locked_at": case((Job.locked_at.is_not(None), _in_python(Job.locked_at))),
        "task_identifier": Task.identifier,
        **expressions,
    }
    labelled = [(columns[name] if name in columns else getattr(Job, name)).label(name) for name in JOB_COLUMNS]
    return (
        select(*labelled, JobQueue.queue_name, state_of().label("state"))
        .outerjoin(Task, Task.id == Job.task_id)
        .outerjoin(JobQueue, JobQueue.id == Job.job_queue_id)
    )


def _in_python(time: Any) -> ColumnElement[Any]:
    """Return the time as a Python datetime can hold it."""
    return func.least(func.greatest(time, literal_column(FIRST_DAY)), literal_column(LAST_DAY), type_=TIMESTAMP)
