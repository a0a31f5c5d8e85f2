"""Cleanup: unused tasks and queues, and jobs that failed permanently long ago, are deleted a batch at a time.

A batch leaves alone what somebody has locked (SKIP LOCKED), and is a transaction of its own: nobody waits for long.

A job has no foreign key to its task and its queue, and who adds one locks neither. So a transaction that is open while
its task's row is deleted may commit a job whose task has no row: no worker, of no kind, ever claims it.
To lock the tables against that would let every writer wait, and no lock helps against a snapshot of REPEATABLE READ.
So what is deleted is noted for a day, with its id, and comes back, under the same id, when it is seen to be needed
(`restore_tasks`, `restore_queues`); where its name is there anew, the job is given the new one.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import BigInteger, Boolean, Integer, Interval
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.quoting import BIGINTS, TEXT, TEXTS, statement

__all__ = [
    "count_unneeded",
    "find_failed_jobs",
    "forget_removed",
    "remove_failed_jobs",
    "remove_queues",
    "remove_tasks",
    "restore_queues",
    "restore_tasks",
    "take_turn",
]

_FAILED = """j.locked_at is null and j.attempts >= j.max_attempts
  and greatest(j.run_at, j.updated_at) < pg_catalog.now() - :age"""
"""For so long at least: a failure is noted in run_at, with the wait that would have followed, or in updated_at."""


@lru_cache
def take_turn(schema: str) -> TextualSelect:
    """Say that the ``work`` is done now, by whoever asks; no row where that was less than ``interval`` ago."""
    return statement(
        """insert into __schema__._private_sqla_upkeep as u (work, last_at)
values (:work, pg_catalog.now())
on conflict (work) do update set last_at = pg_catalog.now()
where u.last_at <= pg_catalog.now() - :interval
returning true as taken""",
        schema,
        work=TEXT,
        interval=Interval,
    ).columns(taken=Boolean)


@lru_cache
def find_failed_jobs(schema: str) -> TextualSelect:
    """Select up to ``count`` ids, in their order and ``after`` one, of jobs that have failed ``age`` ago or longer."""
    return statement(
        f"""select j.id
from __schema__._private_jobs j
where j.id > :after and {_FAILED}
order by j.id
limit :count""",
        schema,
        after=BigInteger,
        age=Interval,
        count=Integer,
    ).columns(id=BigInteger)


@lru_cache
def remove_failed_jobs(schema: str) -> TextualSelect:
    """Delete those of ``ids`` that are such jobs still, and that nobody has locked."""
    return statement(
        f"""with failed as (
  select j.id from __schema__._private_jobs j where j.id = any (:ids) and {_FAILED} for update skip locked
)
delete from __schema__._private_jobs j
using failed f
where j.id = f.id
returning j.id""",
        schema,
        ids=BIGINTS,
        age=Interval,
    ).columns(id=BigInteger)


_TASK_IS_KEPT = """t.identifier = any (:keep) or exists (
      select from __schema__._private_sqla_workers w
      where pg_catalog.jsonb_typeof(w.metadata operator(pg_catalog.->) 'tasks') is distinct from 'array'
        or w.metadata operator(pg_catalog.->) 'tasks' operator(pg_catalog.?) t.identifier
    )"""


@lru_cache
def count_unneeded(schema: str) -> TextualSelect:
    """Count what a cleanup would delete of ``tasks`` and ``queues``, if these are true, and of jobs after ``age``.

    Failed jobs of this age use neither tasks nor queues; where it is null, they do.
    """
    return statement(
        f"""with used as materialized (
  select distinct j.task_id, j.job_queue_id from __schema__._private_jobs j where ({_FAILED}) is not true
)
select
  cast((select pg_catalog.count(*) from __schema__._private_jobs j where {_FAILED}) as int) as failed_jobs,
  cast((
    select pg_catalog.count(*) from __schema__._private_tasks t
    where :tasks and not ({_TASK_IS_KEPT}) and t.id not in (select u.task_id from used u)
  ) as int) as tasks,
  cast((
    select pg_catalog.count(*) from __schema__._private_job_queues q
    where :queues and q.is_available
      and q.id not in (select u.job_queue_id from used u where u.job_queue_id is not null)
  ) as int) as queues""",
        schema,
        age=Interval,
        tasks=Boolean,
        queues=Boolean,
        keep=TEXTS,
    ).columns(failed_jobs=Integer, tasks=Integer, queues=Integer)


_NOTED = """
noted as (
  insert into __schema__._private_sqla_removed (kind, id, name)
  select '{kind}', r.id, r.called from removed r
  on conflict (kind, id) do update set name = excluded.name, removed_at = pg_catalog.now()
)
select r.called from removed r order by r.id"""


@lru_cache
def remove_tasks(schema: str) -> TextualSelect:
    """Delete up to ``count`` tasks that no job has, no worker in the register knows, and ``keep`` does not name.

    None, where a worker in the register does not say which it knows.
    """
    return statement(
        f"""with unused as (
  select t.id
  from __schema__._private_tasks t
  where not ({_TASK_IS_KEPT})
    and not exists (select from __schema__._private_jobs j where j.task_id = t.id)
  order by t.id
  limit :count
  for update skip locked
), removed as (
  delete from __schema__._private_tasks t using unused u where t.id = u.id returning t.id, t.identifier as called
),{_NOTED.format(kind="task")}""",
        schema,
        keep=TEXTS,
        count=Integer,
    ).columns(called=TEXT)


@lru_cache
def remove_queues(schema: str) -> TextualSelect:
    """Delete up to ``count`` queues that no job is in, and that are not locked."""
    return statement(
        f"""with unused as (
  select q.id
  from __schema__._private_job_queues q
  where q.is_available and not exists (select from __schema__._private_jobs j where j.job_queue_id = q.id)
  order by q.id
  limit :count
  for update skip locked
), removed as (
  delete from __schema__._private_job_queues q using unused u where q.id = u.id returning q.id, q.queue_name as called
),{_NOTED.format(kind="queue")}""",
        schema,
        count=Integer,
    ).columns(called=TEXT)


def _restore(schema: str, kind: str, table: str, name: str, reference: str) -> TextualSelect:
    return statement(
        f"""with lost as (
  select r.id, r.name
  from __schema__._private_sqla_removed r
  where r.kind = '{kind}'
    and not exists (select from __schema__.{table} there where there.id = r.id)
    and exists (select from __schema__._private_jobs j where j.{reference} = r.id)
), back as (
  insert into __schema__.{table} (id, {name}) overriding system value
  select l.id, l.name
  from lost l
  where not exists (select from __schema__.{table} there where there.{name} = l.name)
  on conflict do nothing
  returning id
), moved as (
  update __schema__._private_jobs j
  set {reference} = there.id
  from lost l
  join __schema__.{table} there on there.{name} = l.name
  where j.{reference} = l.id
  returning j.id
)
select l.name from lost l order by l.id""",
        schema,
    ).columns(name=TEXT)


@lru_cache
def restore_tasks(schema: str) -> TextualSelect:
    """Bring tasks back that were removed while somebody added a job of theirs."""
    return _restore(schema, "task", "_private_tasks", "identifier", "task_id")


@lru_cache
def restore_queues(schema: str) -> TextualSelect:
    """Bring queues back that were removed while somebody added a job to them."""
    return _restore(schema, "queue", "_private_job_queues", "queue_name", "job_queue_id")


@lru_cache
def forget_removed(schema: str) -> TextualSelect:
    """Forget what was removed over a day ago."""
    return statement(
        """delete from __schema__._private_sqla_removed r
where r.removed_at < pg_catalog.now() - interval '1 day'
returning r.id""",
        schema,
    ).columns(id=Integer)
