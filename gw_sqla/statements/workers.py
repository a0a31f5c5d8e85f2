"""Who is alive, and what becomes of the locks of those who are not.

A pool's row in ``_private_sqla_workers`` holds its last heartbeat and how old that may become: each pool
states its own threshold, so workers with different settings judge each other rightly. A sweep locks the
rows of the dead with SKIP LOCKED, deletes them and frees their locks, all in one statement: of any
number of sweepers one recovers a pool, and a pool that lives finds its row gone at its next beat.
All times are the database's.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Boolean, Integer, Interval, Text
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.quoting import BIGINTS, TEXTS, statement

__all__ = ["any_dead", "beat", "beat_beside_rust", "deregister", "held", "recover", "register", "unlock_stale"]

_DEAD = "w.last_heartbeat_at + w.heartbeat_threshold < now()"

_UNLOCK = "locked_at = null, locked_by = null"


@lru_cache
def register(schema: str) -> TextualSelect:
    """Make the pool known as alive; ``metadata`` is JSON text."""
    return statement(
        """insert into __schema__._private_sqla_workers as w (pool_id, heartbeat_threshold, metadata)
values (:pool_id, :threshold, cast(:metadata as jsonb))
on conflict (pool_id) do update set last_heartbeat_at = now()
returning true as registered""",
        schema,
        pool_id=Text,
        threshold=Interval,
        metadata=Text,
    ).columns(registered=Boolean)


@lru_cache
def beat(schema: str) -> TextualSelect:
    """Beat once; one row: whether the pool is still registered, whether ``rust_table`` is there, the ids it holds.

    ``held_ids`` are those of ``ids`` that the pool has the lock of.
    """
    return statement(
        """with beat as (
  update __schema__._private_sqla_workers set last_heartbeat_at = now() where pool_id = :pool_id returning pool_id
)
select
  exists (select from beat) as registered,
  to_regclass(:rust_table) is not null as beside_rust,
  array(select j.id from __schema__._private_jobs j where j.id = any (:ids) and j.locked_by = :pool_id) as held_ids""",
        schema,
        pool_id=Text,
        ids=BIGINTS,
        rust_table=Text,
    ).columns(registered=Boolean, beside_rust=Boolean, held_ids=BIGINTS)


@lru_cache
def held(schema: str) -> TextualSelect:
    """Select those of ``ids`` that the pool has the lock of."""
    return statement(
        "select array(select j.id from __schema__._private_jobs j "
        "where j.id = any (:ids) and j.locked_by = :pool_id) as held_ids",
        schema,
        pool_id=Text,
        ids=BIGINTS,
    ).columns(held_ids=BIGINTS)


@lru_cache
def beat_beside_rust(schema: str) -> TextualSelect:
    """Register or beat in Graphile Worker RS's table, whose recovery takes an owner without a row for dead."""
    return statement(
        """with beat as (
  update __schema__._private_workers set last_heartbeat_at = now() where id = :pool_id returning id
), registered as (
  insert into __schema__._private_workers (id, last_heartbeat_at, started_at, metadata)
  select :pool_id, now(), now(), cast(:metadata as jsonb)
  where not exists (select from beat)
  returning id
)
select id from beat union all select id from registered""",
        schema,
        pool_id=Text,
        metadata=Text,
    ).columns(id=Text)


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
        pool_id=Text,
    ).columns(pool_id=Text)


@lru_cache
def any_dead(schema: str) -> TextualSelect:
    """Tell whether a pool is dead: what a sweep costs when none is."""
    return statement(
        f"select exists (select from __schema__._private_sqla_workers w where {_DEAD}) as dead", schema
    ).columns(dead=Boolean)


@lru_cache
def recover(schema: str) -> TextualSelect:
    """Free the locks of the dead; a row for each: who it was, the ids of its jobs, of those without an attempt left.

    The jobs keep the attempt as spent, say in ``last_error`` what happened, and wait for ``delay``.
    """
    return statement(
        f"""with dead as (
  select w.pool_id
  from __schema__._private_sqla_workers w
  where {_DEAD}
  for update skip locked
), gone as (
  delete from __schema__._private_sqla_workers w
  using dead d
  where w.pool_id = d.pool_id
  returning w.pool_id, format(
    '%s (process %s on %s) sent no heartbeat for %s s',
    w.pool_id, w.metadata ->> 'pid', w.metadata ->> 'host', cast(extract(epoch from w.heartbeat_threshold) as real)
  ) as what
), jobs as (
  update __schema__._private_jobs j
  set {_UNLOCK}, run_at = greatest(j.run_at, now() + :delay),
      last_error = 'the worker died while it had this job: ' || g.what
  from gone g
  where j.locked_by = g.pool_id
  returning j.id, j.attempts >= j.max_attempts as is_final, g.pool_id
), queues as (
  update __schema__._private_job_queues q
  set {_UNLOCK}
  from gone g
  where q.locked_by = g.pool_id
)
select
  g.what,
  array(select j.id from jobs j where j.pool_id = g.pool_id order by j.id) as job_ids,
  array(select j.id from jobs j where j.pool_id = g.pool_id and j.is_final order by j.id) as final_ids
from gone g
order by g.pool_id""",
        schema,
        delay=Interval,
    ).columns(what=Text, job_ids=BIGINTS, final_ids=BIGINTS)


@lru_cache
def unlock_stale(schema: str) -> TextualSelect:
    """Unlock what an owner that is not registered has held for over 4 hours (contract, section 4); attempts stay.

    One row: the owners, how many jobs and how many queues.
    """
    stale = """locked_at < now() - interval '4 hours'
    and not exists (select from __schema__._private_sqla_workers w where w.pool_id = {}.locked_by)"""
    return statement(
        f"""with stale_jobs as (
  select j.id, j.locked_by
  from __schema__._private_jobs j
  where j.{stale.format("j")}
  for update skip locked
), stale_queues as (
  select q.id, q.locked_by
  from __schema__._private_job_queues q
  where q.{stale.format("q")}
  for update skip locked
), jobs as (
  update __schema__._private_jobs j
  set {_UNLOCK}, run_at = greatest(j.run_at, now())
  from stale_jobs s
  where j.id = s.id
  returning j.id
), queues as (
  update __schema__._private_job_queues q
  set {_UNLOCK}
  from stale_queues s
  where q.id = s.id
  returning q.id
)
select
  array(select locked_by from stale_jobs union select locked_by from stale_queues order by 1) as owners,
  (select count(*) from jobs) as jobs,
  (select count(*) from queues) as queues""",
        schema,
    ).columns(owners=TEXTS, jobs=Integer, queues=Integer)
