"""What is said of many jobs in one row each: failures that are alike, tasks, queues, those before a job.

All of it is of bounded cost: of so many rows, and a count ends at a cap. The caller has a time limit besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Boolean, ColumnElement, Integer, Select, Text, func, literal_column, select
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.models import Job, Task
from gw_sqla.statements.job_ranges import Range, within
from gw_sqla.statements.job_states import NOW
from gw_sqla.statements.quoting import TEXT, TIMESTAMP, as_text, in_python, statement

__all__ = [
    "error_lines",
    "list_queues",
    "list_tasks",
    "now",
    "queue_of",
    "tasks_failed",
    "tasks_locked",
    "tasks_waiting",
]

LONGEST_LINE = 300
"""Characters of the first line of an error."""


def error_lines(rows: Range, conditions: Sequence[ColumnElement[bool]]) -> Select[*tuple[Any, ...]]:
    """Group the jobs of the range (of one lane) that fit by their task and the first line of their error."""
    text = func.pg_catalog.ltrim(Job.last_error, as_text(" \t\r\n"))
    first = func.pg_catalog.split_part(text, as_text("\n"), literal_column("1"))
    line = func.pg_catalog.left(first, LONGEST_LINE, type_=TEXT).label("line")
    due = func.least(Job.run_at, NOW, type_=TIMESTAMP)
    return (
        select(
            Task.identifier,
            line,
            func.pg_catalog.count(literal_column("*"), type_=BigInteger).label("jobs"),
            func.pg_catalog.min(due, type_=TIMESTAMP).label("first"),
            func.pg_catalog.max(due, type_=TIMESTAMP).label("last"),
            func.pg_catalog.max(Job.id, type_=BigInteger).label("sample"),
        )
        .select_from(Job)
        .outerjoin(Task, Task.id == Job.task_id)
        .where(*within(rows, rows.lanes[0]), *conditions)
        .group_by(Task.identifier, line)
    )


@lru_cache
def queue_of(schema: str) -> TextualSelect:
    """Select the queue of this id, and who has its lock since when."""
    return statement(
        f"""select
  q.queue_name, q.locked_by, {in_python("q.locked_at")} as locked_at
from __schema__._private_job_queues q
where q.id = :id""",
        schema,
        id=Integer,
    ).columns(queue_name=Text, locked_by=Text, locked_at=TIMESTAMP)


@lru_cache
def list_queues(schema: str, *, only_locked: bool, backwards: bool = False) -> TextualSelect:
    """Select ``limit`` queues behind the name ``place``: lock, waiting jobs up to ``most``, run_at of the first.

    ``backwards``: the nearest before it.
    """
    locked = "and q.locked_at is not null" if only_locked else ""
    is_behind, order = ("<", "desc") if backwards else (">", "asc")
    return statement(
        f"""select q.queue_name, q.locked_by, {in_python("q.locked_at")} as locked_at, w.jobs, head.run_at
from (
  select q.id, q.queue_name, q.locked_by, q.locked_at
  from __schema__._private_job_queues q
  where q.queue_name {is_behind} :place {locked}
  order by q.queue_name {order}
  limit :limit
) q
cross join lateral (
  select cast(pg_catalog.count(*) as int) as jobs
  from (
    select from __schema__._private_jobs j where j.job_queue_id = q.id and j.is_available limit :most
  ) counted
) w
left join lateral (
  select greatest(j.run_at, pg_catalog.timestamptz '0001-01-02 00:00:00+00') as run_at
  from __schema__._private_jobs j
  where j.job_queue_id = q.id and j.is_available
  order by j.priority, j.run_at
  limit 1
) head on true
order by q.queue_name""",
        schema,
        place=TEXT,
        limit=Integer,
        most=Integer,
    ).columns(queue_name=Text, locked_by=Text, locked_at=TIMESTAMP, jobs=Integer, run_at=TIMESTAMP)


@lru_cache
def list_tasks(schema: str, *, backwards: bool = False) -> TextualSelect:
    """Select ``limit`` tasks behind the name ``place``; ``backwards``: the nearest before it, in that order."""
    is_behind, order = ("<", "desc") if backwards else (">", "asc")
    return statement(
        f"""select t.id, t.identifier from __schema__._private_tasks t
where t.identifier {is_behind} :place order by t.identifier {order} limit :limit""",
        schema,
        place=TEXT,
        limit=Integer,
    ).columns(id=Integer, identifier=Text)


@lru_cache
def tasks_waiting(schema: str) -> TextualSelect:
    """Count the waiting jobs of each task among the next ``rows``, those that are due, the oldest of these.

    ``seen``, in every row, is how many rows that were.
    """
    return statement(
        """select
  n.task_id,
  cast(pg_catalog.count(*) as int) as waiting,
  cast(pg_catalog.count(*) filter (where n.run_at <= pg_catalog.now()) as int) as ready,
  greatest(
    pg_catalog.min(n.run_at) filter (where n.run_at <= pg_catalog.now()),
    pg_catalog.timestamptz '0001-01-02 00:00:00+00'
  ) as oldest,
  pg_catalog.bool_or(n.run_at <= pg_catalog.now()) as has_ready,
  cast(pg_catalog.sum(pg_catalog.count(*)) over () as int) as seen
from (
  select j.task_id, j.run_at
  from __schema__._private_jobs j
  where j.is_available
  order by j.priority, j.run_at
  limit :rows
) n
group by n.task_id""",
        schema,
        rows=Integer,
    ).columns(task_id=Integer, waiting=Integer, ready=Integer, oldest=TIMESTAMP, has_ready=Boolean, seen=Integer)


@lru_cache
def tasks_failed(schema: str, *, seeking: bool) -> TextualSelect:
    """Count the jobs of each task that have failed permanently among the ``rows`` newest; ``seen``: how many that was.

    ``seeking``: among the newest of those that have failed, by their index; else among the newest jobs.
    """
    return _tasks(schema, "j.locked_at is null and j.attempts >= j.max_attempts", seeking)


@lru_cache
def tasks_locked(schema: str) -> TextualSelect:
    """Count the locked jobs of each task among the ``rows`` newest jobs; ``seen``: how many rows that were."""
    return _tasks(schema, "j.locked_at is not null", seeking=False)


def _tasks(schema: str, condition: str, seeking: bool) -> TextualSelect:
    where = f"where {condition}" if seeking else ""
    return statement(
        f"""select
  n.task_id,
  cast(pg_catalog.count(*) filter (where n.fits) as int) as jobs,
  cast(pg_catalog.sum(pg_catalog.count(*)) over () as int) as seen
from (
  select j.task_id, ({condition}) as fits
  from __schema__._private_jobs j {where}
  order by j.id desc
  limit :rows
) n
group by n.task_id""",
        schema,
        rows=Integer,
    ).columns(task_id=Integer, jobs=Integer, seen=Integer)


@lru_cache
def now(schema: str) -> TextualSelect:
    """Select the time by which everything in this transaction is due or not."""
    return statement("select pg_catalog.now() as now", schema).columns(now=TIMESTAMP)
