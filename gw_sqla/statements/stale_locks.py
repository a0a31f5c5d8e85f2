"""Locks that nobody has released for 4 hours: found first, and unlocked then, so that no row holds up another."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import BigInteger, Boolean
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.fragments import UNLOCK
from gw_sqla.statements.quoting import BIGINTS, INTEGERS, TEXT, statement

__all__ = ["find_stale", "unlock_stale"]

_STALE = "l.locked_at < pg_catalog.now() - interval '4 hours'"


@lru_cache
def find_stale(schema: str, *, beside_rust: bool = False) -> TextualSelect:
    """Select the jobs and queues that an owner that is not registered has held for over 4 hours (contract, section 4).

    ``beside_rust``: nor has it beaten in Graphile Worker RS's table for a quarter of an hour, three times what Rust
    allows.
    """
    condition = f"""{_STALE}
  and not exists (select from __schema__._private_sqla_workers w where w.pool_id = l.locked_by)"""
    if beside_rust:
        condition += """
  and not exists (
    select from __schema__._private_workers w
    where w.id = l.locked_by and w.last_heartbeat_at > pg_catalog.now() - interval '15 minutes'
  )"""
    return statement(
        f"""select l.id, false as is_queue, l.locked_by as owner
from __schema__._private_jobs l
where {condition}
union all
select cast(l.id as bigint), true, l.locked_by
from __schema__._private_job_queues l
where {condition}""",
        schema,
    ).columns(id=BigInteger, is_queue=Boolean, owner=TEXT)


@lru_cache
def unlock_stale(schema: str) -> TextualSelect:
    """Unlock ``job_ids`` and ``queue_ids`` where they are held for over 4 hours still, around what others have locked.

    Attempts stay. A row for each that was unlocked, with its ``owner``.
    """
    return statement(
        f"""with stale_jobs as (
  select l.id, l.locked_by
  from __schema__._private_jobs l
  where l.id = any (:job_ids) and {_STALE}
  for update skip locked
), stale_queues as (
  select l.id, l.locked_by
  from __schema__._private_job_queues l
  where l.id = any (:queue_ids) and {_STALE}
  for update skip locked
), jobs as (
  update __schema__._private_jobs j
  set {UNLOCK}, run_at = greatest(j.run_at, pg_catalog.now())
  from stale_jobs s
  where j.id = s.id
), queues as (
  update __schema__._private_job_queues q
  set {UNLOCK}
  from stale_queues s
  where q.id = s.id
)
select locked_by as owner from stale_jobs union all select locked_by from stale_queues""",
        schema,
        job_ids=BIGINTS,
        queue_ids=INTEGERS,
    ).columns(owner=TEXT)
