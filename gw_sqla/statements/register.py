"""Who works here, for people: our register, who holds locks, and which of the tables that need not be there are."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Boolean, Integer, Interval, Text
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.quoting import TEXT, TEXTS, TIMESTAMP, in_python, statement

__all__ = ["find_parts", "known_workers", "lock_owners"]


@lru_cache
def find_parts(schema: str) -> TextualSelect:
    """Tell whether our register of workers, pauses and snoozes are there, and our indexes of failures and turns.

    They are not where a peer made the schema and gw_sqla has never run a worker, nor before revision 0011.
    """
    parts = {
        "register": "_private_sqla_workers",
        "pauses": "_private_sqla_pauses",
        "snoozes": "_private_sqla_snoozes",
        "failed_index": "sqla_jobs_failed_index",
        "turn_index": "sqla_jobs_turn_index",
    }
    columns = [
        f"pg_catalog.to_regclass(pg_catalog.concat(__schema_text__, '.{name}')) is not null as {part}"
        for part, name in parts.items()
    ]
    types = dict.fromkeys(parts, Boolean)
    return statement(f"select {', '.join(columns)}", schema).columns(**types)


@lru_cache
def known_workers(schema: str, *, backwards: bool = False) -> TextualSelect:
    """Select ``limit`` pools of our register behind ``place``, those of ``ids`` only if that is not null.

    ``backwards``: the nearest before it, in that order.
    """
    is_behind, order = ("<", "desc") if backwards else (">", "asc")
    return statement(
        f"""select
  w.pool_id, w.started_at, w.last_heartbeat_at, w.heartbeat_threshold,
  w.last_heartbeat_at + w.heartbeat_threshold >= pg_catalog.now() as is_alive,
  cast(w.metadata as pg_catalog.text) as metadata
from __schema__._private_sqla_workers w
where w.pool_id {is_behind} :place and (:ids is null or w.pool_id = any (:ids))
order by w.pool_id {order}
limit :limit""",
        schema,
        place=TEXT,
        ids=TEXTS,
        limit=Integer,
    ).columns(
        pool_id=Text,
        started_at=TIMESTAMP,
        last_heartbeat_at=TIMESTAMP,
        heartbeat_threshold=Interval,
        is_alive=Boolean,
        metadata=Text,
    )


@lru_cache
def lock_owners(schema: str) -> TextualSelect:
    """Select who has locks, with how many and since when, of jobs and of queues: of the ``rows`` newest of each."""
    return statement(
        f"""select
  l.locked_by,
  cast(pg_catalog.count(*) filter (where l.is_job) as int) as jobs,
  cast(pg_catalog.count(*) filter (where not l.is_job) as int) as queues,
  {in_python("pg_catalog.min(l.locked_at)")} as since
from (
  select locked_by, locked_at, true as is_job
  from (
    select j.locked_by, j.locked_at from __schema__._private_jobs j order by j.id desc limit :rows
  ) jobs
  union all
  select locked_by, locked_at, false
  from (select q.locked_by, q.locked_at from __schema__._private_job_queues q order by q.id desc limit :rows) queues
) l
where l.locked_by is not null
group by l.locked_by
order by l.locked_by
limit 1000""",
        schema,
        rows=Integer,
    ).columns(locked_by=Text, jobs=Integer, queues=Integer, since=TIMESTAMP)
