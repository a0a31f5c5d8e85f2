"""Jobs that were forwarded, in ``_private_sqla_forwarded``: kept as they end, found, added anew, forgotten.

The table's ids give the order in which the jobs were sent.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Integer
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.job_conditions import HALF, HIGH, LOW, NUL
from gw_sqla.statements.outcome_writes import FENCED, write
from gw_sqla.statements.quoting import BIGINTS, INTEGERS, TEXT, TEXTS, TIMESTAMP, literal, statement

__all__ = ["complete_and_keep", "count_kept", "forget_kept", "replay"]

_TYPES: dict[str, Any] = {
    "after": BigInteger,
    "last": BigInteger,
    "task": TEXT,
    "queue_name": TEXT,
    "since": TIMESTAMP,
    "until": TIMESTAMP,
    "job_ids": BIGINTS,
    "payload": TEXT,
}

_KEPT = """,
kept as (
  insert into __schema__._private_sqla_forwarded (
    job_id, task_identifier, queue_name, payload, priority, run_at, max_attempts, key, flags, keep_until
  )
  select
    w.id, w.task, w.queue_name, w.payload, w.priority, w.run_at, w.max_attempts, w.key, w.flags,
    pg_catalog.now() + w.seconds * interval '1 second'
  from written w
  order by w.place
)"""


@lru_cache
def complete_and_keep(schema: str, *, around_locks: bool = False) -> TextualSelect:
    """Delete the jobs and keep what they were; more arrays name each one's task and queue, and for how long.

    ``places``: in which order they were sent.
    """
    return write(
        schema,
        f"delete from __schema__._private_jobs j using runs r where {FENCED}",
        around_locks=around_locks,
        lock="update",
        returning="j.id, j.payload, j.priority, j.run_at, j.max_attempts, j.key, j.flags, "
        "r.task, r.queue_name, r.seconds, r.place",
        then=_KEPT,
        tasks=("task", TEXTS),
        queue_names=("queue_name", TEXTS),
        seconds=("seconds", ARRAY(DOUBLE_PRECISION)),
        places=("place", INTEGERS),
    )


_TEXT = "cast(f.payload as pg_catalog.text)"
_WITHOUT_PAIRS = f"pg_catalog.regexp_replace({_TEXT}, {literal(HIGH + LOW)}, '', 'g')"
_MEANT = f"""f.id > :after and f.id <= :last
  and f.task_identifier = :task
  and (:queue_name is null or f.queue_name = :queue_name)
  and (:since is null or f.forwarded_at >= :since)
  and (:until is null or f.forwarded_at < :until)
  and (:job_ids is null or f.job_id = any (:job_ids))
  and case
    when :payload is null then true
    when pg_catalog.strpos({_TEXT}, {literal(NUL)}) > 0 then false
    when {_TEXT} ~ {literal(HALF)} and {_WITHOUT_PAIRS} ~ {literal(HALF)} then false
    else cast(f.payload as pg_catalog.jsonb) operator(pg_catalog.@>) cast(:payload as pg_catalog.jsonb)
  end"""
"""Payloads that no jsonb can be made of contain nothing (`gw_sqla.statements.job_conditions`)."""


@lru_cache
def count_kept(schema: str) -> TextualSelect:
    """Count those that are meant, and tell the ``last`` of their ids."""
    return statement(
        f"""select pg_catalog.count(*) as jobs, pg_catalog.max(f.id) as last
from __schema__._private_sqla_forwarded f
where {_MEANT}""",
        schema,
        **_TYPES,
    ).columns(jobs=BigInteger, last=BigInteger)


@lru_cache
def replay(schema: str) -> TextualSelect:
    """Add up to ``count`` of those that are meant anew, in the order in which they were sent: due now, without keys.

    Tells how many, and the ``last`` of their ids, null where there are none.
    """
    return statement(
        f"""with chosen as (
  select f.*
  from __schema__._private_sqla_forwarded f
  where {_MEANT}
  order by f.id
  limit :count
), added as (
  select pg_catalog.count(*) as jobs
  from __schema__.add_jobs(array(
    select cast(row(
      c.task_identifier, c.payload, c.queue_name, null, c.max_attempts, null, c.priority,
      case when c.flags is not null then array(select pg_catalog.jsonb_object_keys(c.flags)) end
    ) as __schema__.job_spec)
    from chosen c
    order by c.id
  ))
)
select a.jobs, (select pg_catalog.max(c.id) from chosen c) as last
from added a""",
        schema,
        count=Integer,
        **_TYPES,
    ).columns(jobs=BigInteger, last=BigInteger)


@lru_cache
def forget_kept(schema: str) -> TextualSelect:
    """Delete up to ``count`` whose time is over."""
    return statement(
        """delete from __schema__._private_sqla_forwarded f
where f.id in (
  select f.id
  from __schema__._private_sqla_forwarded f
  where f.keep_until < pg_catalog.now()
  order by f.keep_until
  limit :count
  for update skip locked
)
returning f.id""",
        schema,
        count=Integer,
    ).columns(id=BigInteger)
