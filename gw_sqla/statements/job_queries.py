"""Reading jobs: one, a page, a count by state; and making task identifiers known."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Boolean, Integer, Select, func, literal_column, select
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.models import Job, JobQueue, Task
from gw_sqla.statements.job_details import details
from gw_sqla.statements.job_states import STATE_OF_J, is_in_state, state_of
from gw_sqla.statements.quoting import JOB_COLUMNS, JOB_SELECTED, TEXT, TEXTS, as_text, statement
from gw_sqla.types import JobState

__all__ = ["count_by_state", "get_job", "jobs_of_transaction", "list_jobs", "lock_queues", "register_tasks"]


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


@lru_cache
def jobs_of_transaction(schema: str) -> TextualSelect:
    """Select the jobs that this transaction has added or changed: theirs is the time at which it began.

    Flags come as text. ``are_some_paused``: whether anything at all is paused, which is rare, and then looked at.
    As text, as it is for tests, each of which may have an engine of its own, that would compile a Select anew.
    """
    selected = JOB_SELECTED.replace("j.flags", "cast(j.flags as pg_catalog.text) as flags")
    return statement(
        f"""select
  {selected},
  (select q.queue_name from __schema__._private_job_queues q where q.id = j.job_queue_id) as queue_name,
  {STATE_OF_J} as state,
  exists (select from __schema__._private_sqla_pauses) as are_some_paused
from __schema__._private_jobs j
where pg_catalog.now() in (j.created_at, j.updated_at)
order by j.id""",
        schema,
    ).columns(**JOB_COLUMNS | {"flags": TEXT}, queue_name=TEXT, state=TEXT, are_some_paused=Boolean)


@lru_cache
def lock_queues(schema: str) -> TextualSelect:
    """Lock the queues ``names``, waiting for those who have them."""
    return statement(
        """select q.id from __schema__._private_job_queues q
where q.queue_name = any (:names) order by q.id for no key update""",
        schema,
        names=TEXTS,
    ).columns(id=Integer)


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
