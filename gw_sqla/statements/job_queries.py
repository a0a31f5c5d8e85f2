"""Reading jobs: one, a page, a count by state; and making task identifiers known."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, Select, func, literal_column, select
from sqlalchemy.sql.elements import TextClause

from gw_sqla.models import Job, JobQueue, Task
from gw_sqla.statements.job_details import details
from gw_sqla.statements.job_states import is_in_state, state_of
from gw_sqla.statements.quoting import TEXTS, as_text, statement
from gw_sqla.types import JobState

__all__ = ["count_by_state", "get_job", "list_jobs", "register_tasks"]


def get_job(job_id: int) -> Select[*tuple[Any, ...]]:
    """Select one job with the names of its task and queue, and its state."""
    return details().where(Job.id == job_id)


def list_jobs(
    *,
    task_identifier: str | None,
    queue_name: str | None,
    state: JobState | None,
    job_key: str | None,
    after: int | None,
    limit: int,
) -> Select[*tuple[Any, ...]]:
    """Select jobs in the order of their ids, ``limit`` of those after the id ``after``."""
    query = details()
    if task_identifier is not None:
        query = query.where(Task.identifier == as_text(task_identifier))
    if queue_name is not None:
        query = query.where(JobQueue.queue_name == as_text(queue_name))
    if state is not None:
        query = query.where(is_in_state(state))
    if job_key is not None:
        query = query.where(Job.key == as_text(job_key))
    if after is not None:
        query = query.where(Job.id > after)
    return query.order_by(Job.id).limit(limit)


def count_by_state() -> Select[*tuple[Any, ...]]:
    """Select the number of jobs in each state that has some."""
    state = state_of().label("state")
    return (
        select(state, func.pg_catalog.count(literal_column("*"), type_=Integer).label("jobs"))
        .select_from(Job)
        .group_by(state)
    )


@lru_cache
def register_tasks(schema: str) -> TextClause:
    """Insert the task ``identifiers`` that are not there yet, in their order, so that no two can deadlock."""
    return statement(
        """insert into __schema__._private_tasks (identifier)
select i from pg_catalog.unnest(:identifiers) as i
where not exists (select from __schema__._private_tasks t where t.identifier = i)
order by i
on conflict (identifier) do nothing""",
        schema,
        identifiers=TEXTS,
    )
