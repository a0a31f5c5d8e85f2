"""How what became of claimed jobs is written: which runs, under which guard, with their queues' locks.

The statements that are made of it: `gw_sqla.statements.outcomes`, which says what all of them hold to, and
`gw_sqla.statements.kept_jobs`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Integer
from sqlalchemy.sql.selectable import TextualSelect
from sqlalchemy.sql.type_api import TypeEngine

from gw_sqla.statements.fragments import UNLOCK
from gw_sqla.statements.quoting import BIGINTS, BOOLEANS, INTEGERS, SMALLINTS, TEXT, TIMESTAMP, TIMESTAMPS, statement

__all__ = ["FENCED", "write"]

FENCED = """j.id = r.id and j.locked_by = :pool_id and j.locked_at <= r.locked_at and (
    j.attempts = r.attempts or r.keyed and j.key is null and j.attempts = j.max_attempts
  )"""

_COLUMNS: dict[str, tuple[str, TypeEngine[Any]]] = {
    "ids": ("id", BIGINTS),
    "attempts": ("attempts", SMALLINTS),
    "keyed": ("keyed", BOOLEANS),
    "locked_ats": ("locked_at", TIMESTAMPS),
    "queue_ids": ("queue_id", INTEGERS),
}
"""The arrays that name runs, each with the column that it becomes."""

_QUEUE_FENCED = "q.id = r.queue_id and q.locked_by = :pool_id and q.locked_at <= r.locked_at"

_AROUND_LOCKS = f"""named as ({{named}}),
free_jobs as (
  select r.*
  from named r
  join __schema__._private_jobs j on {FENCED}
  for {{lock}} of j skip locked
),
free_queues as (
  select q.id
  from free_jobs r
  join __schema__._private_job_queues q on {_QUEUE_FENCED}
  for no key update of q skip locked
),
runs as (
  select r.*
  from free_jobs r
  where r.queue_id is null or r.queue_id in (select id from free_queues) or not exists (
    select from __schema__._private_job_queues q where {_QUEUE_FENCED}
  )
)"""

_UNLOCKED = f"""unlocked as (
  update __schema__._private_job_queues q
  set {UNLOCK}
  from written r
  where {_QUEUE_FENCED}
)"""
"""Of the rows that were written, not by looking their ids up among the runs: on the worker's connection, which joins
by nested loops, that takes the square of their number, 145 ms for 1,200 jobs in queues.
"""

_WRITTEN = """
select id, false as busy{more} from written"""

_AND_BUSY = f"""
union all
select r.id, true{{more}}
from named r
join __schema__._private_jobs j on {FENCED}
where r.id not in (select id from runs)"""


def write(
    schema: str,
    written: str,
    *,
    around_locks: bool,
    lock: str = "no key update",
    now: bool = False,
    returning: str = "j.id",
    then: str = "",
    counts: str = "",
    **more: tuple[str, TypeEngine[Any]],
) -> TextualSelect:
    """``written``: the statement that writes jobs ``j`` of the runs ``r``, which have a column for each of ``more``.

    ``now``: it has a parameter of this name. It returns ``returning``; ``then``: more that is done by it with what
    ``written`` has of each, of which ``counts`` is a column of the answer.
    """
    arrays = _COLUMNS | more
    columns = ", ".join(column for column, _ in arrays.values())
    unnested = ", ".join(f"pg_catalog.unnest(:{name})" for name in arrays)
    named = f"select * from rows from ({unnested}) as r ({columns})"
    runs = _AROUND_LOCKS.format(named=named, lock=lock) if around_locks else f"runs as ({named})"
    types: dict[str, Any] = {name: array for name, (_, array) in arrays.items()}
    if now:
        types["now"] = TIMESTAMP
    answer = _WRITTEN.format(more=f", {counts}" if counts else "")
    if around_locks:
        answer += _AND_BUSY.format(more=", null" if counts else "")
    return statement(
        f"""with {runs},
written as (
  {written}
  returning {returning}, r.queue_id, r.locked_at
),
{_UNLOCKED}{then}{answer}""",
        schema,
        pool_id=TEXT,
        **types,
    ).columns(id=BigInteger, busy=Boolean, **({counts: Integer} if counts else {}))
