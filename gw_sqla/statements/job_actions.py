"""What acting on jobs needs beside the schema's functions: their rows' locks, another payload, a copy.

A job is first locked, as a row, by whoever acts on it: so that nothing waits for another transaction, and so that it is
known which jobs the schema's functions will touch, and why others are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, Interval, Select, Text, any_, bindparam, or_, select
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.models import Job
from gw_sqla.statements.job_states import NOW
from gw_sqla.statements.quoting import BIGINTS, TEXT, TEXTS, TIMESTAMP, in_python, statement

__all__ = ["copy_jobs", "edit_payload", "held_by", "lock_free", "newest", "whereabouts"]

_STALE = timedelta(hours=4)
_FREE = "(j.locked_at is null or j.locked_at < pg_catalog.now() - interval '4 hours')"
"""As the schema's functions have it."""


@lru_cache
def newest(schema: str) -> TextualSelect:
    """Select the largest id there is: what is added later is not meant."""
    return statement("select coalesce(pg_catalog.max(j.id), 0) as id from __schema__._private_jobs j", schema).columns(
        id=BigInteger
    )


def lock_free(job_ids: Sequence[int], conditions: Sequence[ColumnElement[bool]]) -> Select[*tuple[Any, ...]]:
    """Lock the rows of those jobs that no worker has, nor another transaction, and that fit still; select their ids."""
    wanted = bindparam(None, list(job_ids), type_=BIGINTS, unique=True)
    stale = NOW - bindparam(None, _STALE, type_=Interval, unique=True)
    return (
        select(Job.id)
        .where(Job.id == any_(wanted), or_(Job.locked_at.is_(None), Job.locked_at < stale), *conditions)
        .order_by(Job.id)
        .with_for_update(skip_locked=True, of=Job)
    )


@lru_cache
def whereabouts(schema: str) -> TextualSelect:
    """Select of these jobs, those that are there: who has them, null where nobody has."""
    return statement(
        f"""select
  j.id,
  case when not {_FREE} then j.locked_by end as locked_by,
  case when not {_FREE} then {in_python("j.locked_at")} end as locked_at
from __schema__._private_jobs j
where j.id = any (:job_ids)""",
        schema,
        job_ids=BIGINTS,
    ).columns(id=BigInteger, locked_by=Text, locked_at=TIMESTAMP)


@lru_cache
def edit_payload(schema: str) -> TextualSelect:
    """Give jobs that no worker has another payload; return their ids."""
    return statement(
        f"""update __schema__._private_jobs j
set payload = cast(:payload as pg_catalog.json), revision = j.revision + 1, updated_at = pg_catalog.now()
where j.id = any (:job_ids) and {_FREE}
returning j.id""",
        schema,
        job_ids=BIGINTS,
        payload=TEXT,
    ).columns(id=BigInteger)


@lru_cache
def copy_jobs(schema: str) -> TextualSelect:
    """Add a copy of each of these jobs by ``add_job``; return their ids and those of the copies.

    Its flags are those that a claim sees, whatever JSON there is.
    """
    return statement(
        """select j.id, copy.id as copy_id
from __schema__._private_jobs j
join __schema__._private_tasks t on t.id = j.task_id
left join __schema__._private_job_queues q on q.id = j.job_queue_id
cross join lateral (
  select case pg_catalog.jsonb_typeof(j.flags)
    when 'object' then array(select pg_catalog.jsonb_object_keys(j.flags))
    when 'array' then array(
      select e.one operator(pg_catalog.#>>) '{}'
      from pg_catalog.jsonb_array_elements(j.flags) as e(one)
      where pg_catalog.jsonb_typeof(e.one) = 'string'
    )
    when 'string' then array[j.flags operator(pg_catalog.#>>) '{}']
  end as flags
) f
cross join lateral __schema__.add_job(
  t.identifier, j.payload, q.queue_name, pg_catalog.now(), j.max_attempts, null, j.priority, f.flags
) copy
where j.id = any (:job_ids)""",
        schema,
        job_ids=BIGINTS,
    ).columns(id=BigInteger, copy_id=BigInteger)


@lru_cache
def held_by(schema: str) -> TextualSelect:
    """Count the jobs and the queues that these owners have locked. It reads all of both tables."""
    return statement(
        """select
  cast((
    select pg_catalog.count(*) from __schema__._private_jobs j where j.locked_by = any (:owners)
  ) as int) as jobs,
  cast((
    select pg_catalog.count(*) from __schema__._private_job_queues q where q.locked_by = any (:owners)
  ) as int) as queues""",
        schema,
        owners=TEXTS,
    ).columns(jobs=Integer, queues=Integer)
