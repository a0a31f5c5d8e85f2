"""Who is alive, and what becomes of the locks of those who are not.

A pool's row in ``_private_sqla_workers`` holds its last heartbeat and how old that may become: each pool
states its own threshold, so workers with different settings judge each other rightly. A sweep locks the
rows of the dead with SKIP LOCKED, frees their locks and deletes them, all in one statement: of any
number of sweepers one recovers a pool, and a pool that lives finds its row gone at its next beat. What another
transaction has locked meanwhile stays, and with it the row of its pool, for the next sweep. All times are the
database's.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Boolean, Integer, Interval
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.fragments import UNLOCK
from gw_sqla.statements.quoting import BIGINTS, TEXT, TEXTS, statement

__all__ = [
    "beat",
    "beat_beside_rust",
    "deregister",
    "find_dead",
    "find_unknown_tasks",
    "held",
    "recover",
    "register",
]

_DEAD = "w.last_heartbeat_at + w.heartbeat_threshold < pg_catalog.now()"
_WHAT = """pg_catalog.format(
    '%s (process %s on %s) sent no heartbeat for %s s',
    w.pool_id, w.metadata operator(pg_catalog.->>) 'pid', w.metadata operator(pg_catalog.->>) 'host',
    cast(extract(epoch from w.heartbeat_threshold) as real)
  ) as what"""


@lru_cache
def register(schema: str) -> TextualSelect:
    """Make the pool known as alive; ``metadata`` is JSON text."""
    return statement(
        """insert into __schema__._private_sqla_workers as w (pool_id, heartbeat_threshold, metadata)
values (:pool_id, :threshold, cast(:metadata as pg_catalog.jsonb))
on conflict (pool_id) do update set last_heartbeat_at = pg_catalog.now()
returning true as registered""",
        schema,
        pool_id=TEXT,
        threshold=Interval,
        metadata=TEXT,
    ).columns(registered=Boolean)


@lru_cache
def beat(schema: str) -> TextualSelect:
    """Beat once; one row: whether the pool is still registered, whether ``rust_table`` is there, the ids it holds.

    ``held_ids`` are those of ``ids`` that the pool has the lock of.
    """
    return statement(
        """with beat as (
  update __schema__._private_sqla_workers
  set last_heartbeat_at = pg_catalog.now()
  where pool_id = :pool_id
  returning pool_id
)
select
  exists (select from beat) as registered,
  pg_catalog.to_regclass(:rust_table) is not null as beside_rust,
  cast(array(
    select j.id from __schema__._private_jobs j where j.id = any (:ids) and j.locked_by = :pool_id
  ) as pg_catalog.text) as held_ids""",
        schema,
        pool_id=TEXT,
        ids=BIGINTS,
        rust_table=TEXT,
    ).columns(registered=Boolean, beside_rust=Boolean, held_ids=TEXT)


@lru_cache
def held(schema: str) -> TextualSelect:
    """Select those of ``ids`` that the pool has the lock of."""
    return statement(
        "select cast(array(select j.id from __schema__._private_jobs j "
        "where j.id = any (:ids) and j.locked_by = :pool_id) as pg_catalog.text) as held_ids",
        schema,
        pool_id=TEXT,
        ids=BIGINTS,
    ).columns(held_ids=TEXT)


@lru_cache
def beat_beside_rust(schema: str) -> TextualSelect:
    """Register or beat in Graphile Worker RS's table, whose recovery takes an owner without a row for dead."""
    return statement(
        """with beat as (
  update __schema__._private_workers set last_heartbeat_at = pg_catalog.now() where id = :pool_id returning id
), registered as (
  insert into __schema__._private_workers (id, last_heartbeat_at, started_at, metadata)
  select :pool_id, pg_catalog.now(), pg_catalog.now(), cast(:metadata as pg_catalog.jsonb)
  where not exists (select from beat)
  returning id
)
select id from beat union all select id from registered""",
        schema,
        pool_id=TEXT,
        metadata=TEXT,
    ).columns(id=TEXT)


@lru_cache
def deregister(schema: str, *, beside_rust: bool) -> TextualSelect:
    """Forget the pool, which holds no lock any more; in Rust's table too."""
    rust = ", rust as (delete from __schema__._private_workers where id = :pool_id)" if beside_rust else ""
    return statement(
        f"""with ours as (
  delete from __schema__._private_sqla_workers where pool_id = :pool_id returning pool_id
){rust}
select pool_id from ours""",
        schema,
        pool_id=TEXT,
    ).columns(pool_id=TEXT)


@lru_cache
def find_dead(schema: str) -> TextualSelect:
    """Select the dead pools and who they were, each with the ids of the jobs it has, and of those without an attempt.

    It is all that a sweep costs when there is none.
    """
    return statement(
        f"""select
  w.pool_id, {_WHAT},
  cast(array(
    select j.id from __schema__._private_jobs j where j.locked_by = w.pool_id order by j.id
  ) as pg_catalog.text) as job_ids,
  cast(array(
    select j.id from __schema__._private_jobs j
    where j.locked_by = w.pool_id and j.attempts >= j.max_attempts order by j.id
  ) as pg_catalog.text) as final_ids
from __schema__._private_sqla_workers w
where {_DEAD}
order by w.pool_id""",
        schema,
    ).columns(pool_id=TEXT, what=TEXT, job_ids=TEXT, final_ids=TEXT)


_FREED = f"""with dead as (
  select w.pool_id, {_WHAT}
  from __schema__._private_sqla_workers w
  where w.pool_id = any (:pool_ids) and {_DEAD}
  for update skip locked
), free_jobs as (
  select j.id, d.pool_id, d.what
  from __schema__._private_jobs j
  join dead d on j.locked_by = d.pool_id
  where :job_ids is null or j.id = any (:job_ids)
  for no key update of j skip locked
), jobs as (
  update __schema__._private_jobs j
  set {UNLOCK}, run_at = greatest(j.run_at, pg_catalog.now() + :delay),
      last_error = 'the worker died while it had this job: ' || f.what
  from free_jobs f
  where j.id = f.id
  returning j.id, j.attempts >= j.max_attempts as is_final, f.pool_id
), kept_jobs as (
  select j.job_queue_id, j.locked_by as pool_id
  from __schema__._private_jobs j
  where j.locked_by in (select pool_id from dead) and j.id not in (select id from free_jobs)
), free_queues as (
  select q.id, d.pool_id
  from __schema__._private_job_queues q
  join dead d on q.locked_by = d.pool_id
  where q.id not in (select job_queue_id from kept_jobs where job_queue_id is not null)
  for no key update of q skip locked
), queues as (
  update __schema__._private_job_queues q
  set {UNLOCK}
  from free_queues f
  where q.id = f.id
)"""
"""Frees what the ``dead`` have locked: ``jobs`` of theirs, but those kept, and the queues that these leave."""


@lru_cache
def recover(schema: str, *, beside_rust: bool = False) -> TextualSelect:
    """Free the locks of the dead among ``pool_ids``; a row for each of which something was freed, or that is gone.

    It says who it was, the ids of its jobs, of those without an attempt left. Of the jobs only ``job_ids`` are freed,
    unless that is null. They keep the attempt as spent, say in ``last_error`` what happened, and wait for ``delay``.
    A pool of which something is locked still keeps its row; one that is gone, goes from Rust's table too.
    """
    rust = (
        """, rust as (
  delete from __schema__._private_workers w using gone g where w.id = g.pool_id
)"""
        if beside_rust
        else ""
    )
    return statement(
        f"""{_FREED}, gone as (
  delete from __schema__._private_sqla_workers w
  using dead d
  where w.pool_id = d.pool_id and d.pool_id not in (select pool_id from kept_jobs) and not exists (
    select from __schema__._private_job_queues q
    where q.locked_by = d.pool_id and q.id not in (select id from free_queues)
  )
  returning w.pool_id
){rust}
select
  d.what,
  cast(array(select j.id from jobs j where j.pool_id = d.pool_id order by j.id) as pg_catalog.text) as job_ids,
  cast(array(
    select j.id from jobs j where j.pool_id = d.pool_id and j.is_final order by j.id
  ) as pg_catalog.text) as final_ids
from dead d
where d.pool_id in (select pool_id from gone) or d.pool_id in (select pool_id from jobs)
order by d.pool_id""",
        schema,
        pool_ids=TEXTS,
        job_ids=BIGINTS,
        delay=Interval,
    ).columns(what=TEXT, job_ids=TEXT, final_ids=TEXT)


@lru_cache
def find_unknown_tasks(schema: str) -> TextualSelect:
    """Select the tasks that no living pool knows, and how many jobs of each have been ready for longer than ``waited``.

    Of all ready jobs the 10,000 whose turn is next are looked at: those that nobody takes gather there.
    """
    return statement(
        """with known as (
  select pg_catalog.jsonb_array_elements_text(w.metadata operator(pg_catalog.->) 'tasks') as identifier
  from __schema__._private_sqla_workers w
  where w.last_heartbeat_at + w.heartbeat_threshold >= pg_catalog.now()
    and pg_catalog.jsonb_typeof(w.metadata operator(pg_catalog.->) 'tasks') = 'array'
), next as (
  select j.task_id
  from __schema__._private_jobs j
  where j.is_available and j.run_at <= pg_catalog.now() - :waited
  order by j.priority, j.run_at
  limit 10000
)
select t.identifier, cast(pg_catalog.count(*) as int) as jobs
from next n
join __schema__._private_tasks t on t.id = n.task_id
where t.identifier not in (select identifier from known)
group by t.identifier
order by jobs desc, t.identifier""",
        schema,
        waited=Interval,
    ).columns(identifier=TEXT, jobs=Integer)
