"""Figures of the whole queue for monitoring, at a bounded cost: it is asked every few seconds, for good.

The waiting jobs are read priority by priority, each by its ``run_at``: so the oldest ready job of all is always seen,
however many are before it in turn. Only those of a task behind ``rows`` older ones of its own priority are not.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Boolean, Double, Integer, Text
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.quoting import literal, quoted, statement

__all__ = ["hold_reading", "waiting_by_task"]

_MOST_PRIORITIES = 200

_AGE = "pg_catalog.now() - greatest(n.run_at, n.created_at)"

_COUNTED = f"""with recursive priorities as (
  (select j.priority from __schema__._private_jobs j where j.is_available order by j.priority limit 1)
  union all
  select (
    select j.priority from __schema__._private_jobs j
    where j.is_available and j.priority > p.priority
    order by j.priority
    limit 1
  )
  from priorities p
  where p.priority is not null
), lanes as (
  select l.priority, greatest(:rows / pg_catalog.count(*) over (), 1) as most
  from (select p.priority from priorities p where p.priority is not null limit {_MOST_PRIORITIES}) l
), counted as (
  select
    w.task_id,
    w.is_ready,
    w.is_retry,
    w.age,
    w.place = l.most as is_last
  from lanes l
  cross join lateral (
    select
      n.task_id,
      n.run_at <= pg_catalog.now() as is_ready,
      n.attempts > 0 as is_retry,
      case when n.run_at <= pg_catalog.now() then cast(extract(epoch from {_AGE}) as double precision) end as age,
      pg_catalog.row_number() over () as place
    from (
      select j.task_id, j.run_at, j.created_at, j.attempts
      from __schema__._private_jobs j
      where j.is_available and j.priority = l.priority
      order by j.run_at
      limit l.most
    ) n
  ) w
)"""
"""Waiting jobs, of each priority the first by run_at."""


@lru_cache
def waiting_by_task(schema: str) -> TextualSelect:
    """Count waiting jobs by task and in all (``is_total``), no more than ``rows``; the oldest ready one's age.

    Tasks that have ready jobs, ``tasks`` of them, those with the oldest first. ``cut_ready`` and ``cut``, of the total:
    whether there may be more ready jobs, and more of any.
    """
    return statement(
        f"""{_COUNTED}
select
  t.identifier,
  c.is_total,
  c.ready,
  c.retrying,
  c.scheduled,
  c.age,
  c.cut_ready,
  c.cut
from (
  select
    g.task_id,
    grouping(g.task_id) = 1 as is_total,
    cast(pg_catalog.count(*) filter (where g.is_ready) as int) as ready,
    cast(pg_catalog.count(*) filter (where not g.is_ready and g.is_retry) as int) as retrying,
    cast(pg_catalog.count(*) filter (where not g.is_ready and not g.is_retry) as int) as scheduled,
    pg_catalog.max(g.age) as age,
    coalesce(pg_catalog.bool_or(g.is_last and g.is_ready), false) as cut_ready,
    coalesce(pg_catalog.bool_or(g.is_last), false) as cut
  from counted g
  group by grouping sets ((g.task_id), ())
) c
left join __schema__._private_tasks t on t.id = c.task_id
where c.is_total or (c.ready > 0 and t.identifier is not null)
order by c.is_total desc, c.age desc
limit :tasks + 1""",
        schema,
        rows=Integer,
        tasks=Integer,
    ).columns(
        identifier=Text,
        is_total=Boolean,
        ready=Integer,
        retrying=Integer,
        scheduled=Integer,
        age=Double,
        cut_ready=Boolean,
        cut=Boolean,
    )


@lru_cache
def hold_reading(schema: str) -> TextualSelect:
    """Tell whether this session is the one of all workers' that reads the figures; it stays so until it ends."""
    name = literal(f"gw_sqla fleet figures of {quoted(schema)}").replace(":", "\\:")
    return statement(
        f"select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended({name}, 0)) as is_ours", schema
    ).columns(is_ours=Boolean)
