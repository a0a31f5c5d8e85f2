"""Orphaned locks: a pool's own, of which no run of it knows. Found first, released then: no row holds up another.

A claim whose answer was lost leaves jobs and queues, a lock that was lost leaves the queue, and a job whose attempts
were changed while it ran leaves itself. Only the task that claims releases them: between the two statements it claims
nothing, so that what was found is nobody's still. What others have locked is left alone.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import BigInteger, Integer
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.fragments import ATTEMPT_BACK, RETIRED, UNLOCK
from gw_sqla.statements.quoting import BIGINTS, INTEGERS, TEXT, TIMESTAMPS, statement

__all__ = ["find_orphaned_jobs", "find_orphaned_queues", "release_jobs", "release_queues"]


@lru_cache
def find_orphaned_jobs(schema: str) -> TextualSelect:
    """Select the ids of the jobs that ``pool_id`` has locked, but those of its runs.

    A run of job ``ids`` has its lock, whatever the attempts are by now, unless that is younger than ``locked_ats``.
    """
    return statement(
        """select j.id
from __schema__._private_jobs j
where j.locked_by = :pool_id and not exists (
  select
  from rows from (pg_catalog.unnest(:ids), pg_catalog.unnest(:locked_ats)) as r (id, locked_at)
  where r.id = j.id and j.locked_at <= r.locked_at
)""",
        schema,
        ids=BIGINTS,
        locked_ats=TIMESTAMPS,
        pool_id=TEXT,
    ).columns(id=BigInteger)


@lru_cache
def release_jobs(schema: str, *, heeding_retirements: bool) -> TextualSelect:
    """Unlock the jobs ``ids`` of ``pool_id``; a row for each.

    They are given their attempt back, but those of ``spent_ids``, which a run had begun. What another was when it was
    claimed, nobody knows: one without a key whose attempts are spent is in its last attempt, or was removed or replaced
    since; that leaves an ``updated_at`` that is not ``created_at``, and then the attempt stays spent. (A job without a
    key that was rescheduled, in its last attempt, of a lost claim, is taken for removed: it fails.)
    """
    spent = """j.id = any (:spent_ids)
  or j.key is null and j.attempts >= j.max_attempts and j.updated_at <> j.created_at"""
    if heeding_retirements:
        spent += f" or {RETIRED}"
    return statement(
        f"""with free_jobs as (
  select j.id
  from __schema__._private_jobs j
  where j.id = any (:ids) and j.locked_by = :pool_id
  for no key update skip locked
)
update __schema__._private_jobs j
set attempts = case when {spent} then j.attempts else {ATTEMPT_BACK} end, {UNLOCK}
from free_jobs f
where j.id = f.id
returning j.id""",
        schema,
        ids=BIGINTS,
        spent_ids=BIGINTS,
        pool_id=TEXT,
    ).columns(id=BigInteger)


@lru_cache
def find_orphaned_queues(schema: str) -> TextualSelect:
    """Select the ids of the queues that ``pool_id`` has locked for no job: none that it has locked, none of ``ids``.

    Their jobs were deleted while they ran, or released.
    """
    return statement(
        """select q.id
from __schema__._private_job_queues q
where q.locked_by = :pool_id and not (q.id = any (:ids)) and not exists (
  select from __schema__._private_jobs j where j.job_queue_id = q.id and j.locked_by = :pool_id
)""",
        schema,
        ids=INTEGERS,
        pool_id=TEXT,
    ).columns(id=Integer)


@lru_cache
def release_queues(schema: str) -> TextualSelect:
    """Unlock the queues ``ids`` of ``pool_id``; a row for each."""
    return statement(
        f"""with free_queues as (
  select q.id
  from __schema__._private_job_queues q
  where q.id = any (:ids) and q.locked_by = :pool_id
  for no key update skip locked
)
update __schema__._private_job_queues q
set {UNLOCK}
from free_queues f
where q.id = f.id
returning q.id""",
        schema,
        ids=INTEGERS,
        pool_id=TEXT,
    ).columns(id=Integer)
