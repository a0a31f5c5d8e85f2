"""Reads jobs, one or a page, with the names of their tasks and queues and their state."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from gw_sqla.calls.asking import ask
from gw_sqla.jobs.argument_checks import check_count, check_ids, check_member, check_storable
from gw_sqla.jobs.stored_job import JobDetails
from gw_sqla.jobs.task import Task, identifier_of
from gw_sqla.statements import job_queries
from gw_sqla.types import JobState

__all__ = ["count_jobs_by_state", "get_job", "list_jobs"]

_MOST_LISTED = 1000


def get_job(session: Session, schema: str, job_id: int) -> JobDetails | None:
    """Read one job."""
    [job_id] = check_ids([job_id], "job_id")
    rows = ask(session, schema, job_queries.get_job(job_id))
    return _details(rows[0]) if rows else None


def list_jobs(
    session: Session,
    schema: str,
    task: Task[Any] | str | None,
    queue_name: str | None,
    state: JobState | None,
    job_key: str | None,
    after: int | None,
    limit: int,
) -> list[JobDetails]:
    """Read a page of jobs."""
    identifier = None if task is None else identifier_of(task)
    for argument, value in (("task", identifier), ("queue_name", queue_name), ("job_key", job_key)):
        if value is not None:
            check_storable(argument, value)
    if after is not None:
        [after] = check_ids([after], "after")
    check_count("limit", limit, _MOST_LISTED)
    query = job_queries.list_jobs(
        task_identifier=identifier,
        queue_name=queue_name,
        state=None if state is None else check_member(JobState, "state", state),
        job_key=job_key,
        after=after,
        limit=limit,
    )
    return [_details(row) for row in ask(session, schema, query)]


def count_jobs_by_state(session: Session, schema: str) -> dict[JobState, int]:
    """Count the jobs in each state."""
    counts = dict.fromkeys(JobState, 0)
    for row in ask(session, schema, job_queries.count_by_state()):
        counts[JobState(row.state)] = row.jobs
    return counts


def _details(row: Any) -> JobDetails:
    columns = list(row)
    columns[-1] = JobState(columns[-1])
    return JobDetails(*columns)
