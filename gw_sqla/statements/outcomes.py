"""Set-based writes of what became of claimed jobs: completed, failed, returned.

Each touches a job only while ``locked_by`` is the pool's own id, and returns the ids it touched: a
missing id is a lost lock. The queue of a job is unlocked in the same statement, under the same guard.
``updated_at`` stays as it is (contract, section 1).
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import BigInteger, Boolean, Double, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.quoting import BIGINTS, TEXTS, statement

__all__ = ["complete", "fail", "find_settled", "give_back", "give_back_forgotten"]

_UNLOCK_QUEUES = """, unlocked as (
  update __schema__._private_job_queues q
  set locked_at = null, locked_by = null
  from finished f
  where q.id = f.job_queue_id and q.locked_by = :pool_id
)
select id from finished"""

_GIVE_BACK = "set attempts = greatest(0, j.attempts - 1), locked_at = null, locked_by = null"


@lru_cache
def complete(schema: str) -> TextualSelect:
    """Delete the jobs ``ids`` of ``pool_id``."""
    return statement(
        """with finished as (
  delete from __schema__._private_jobs j
  where j.id = any (:ids) and j.locked_by = :pool_id
  returning j.id, j.job_queue_id
)"""
        + _UNLOCK_QUEUES,
        schema,
        ids=BIGINTS,
        pool_id=Text,
    ).columns(id=BigInteger)


@lru_cache
def fail(schema: str) -> TextualSelect:
    """Fail the jobs ``ids``: the arrays give each one's message and what departs from the contract.

    ``delays``: seconds until the next attempt, null for the contract's exp(least(attempts, 10)).
    ``final``: no further attempt. ``payloads``: JSON text that replaces the payload, or null.
    """
    return statement(
        """with finished as (
  update __schema__._private_jobs j
  set last_error = f.message,
      run_at = greatest(now(), j.run_at)
        + coalesce(f.delay, exp(least(j.attempts, 10))) * interval '1 second',
      attempts = case when f.final then greatest(j.attempts, j.max_attempts) else j.attempts end,
      payload = coalesce(cast(f.payload as json), j.payload),
      locked_at = null,
      locked_by = null
  from unnest(:ids, :messages, :delays, :final, :payloads) as f (id, message, delay, final, payload)
  where j.id = f.id and j.locked_by = :pool_id
  returning j.id, j.job_queue_id
)"""
        + _UNLOCK_QUEUES,
        schema,
        ids=BIGINTS,
        messages=TEXTS,
        delays=ARRAY(Double),
        final=ARRAY(Boolean),
        payloads=TEXTS,
        pool_id=Text,
    ).columns(id=BigInteger)


@lru_cache
def give_back(schema: str) -> TextualSelect:
    """Return the unstarted jobs ``ids``: unlocked, their attempt given back."""
    return statement(
        f"""with finished as (
  update __schema__._private_jobs j
  {_GIVE_BACK}
  where j.id = any (:ids) and j.locked_by = :pool_id
  returning j.id, j.job_queue_id
)"""
        + _UNLOCK_QUEUES,
        schema,
        ids=BIGINTS,
        pool_id=Text,
    ).columns(id=BigInteger)


@lru_cache
def give_back_forgotten(schema: str) -> TextualSelect:
    """Return every job of ``pool_id`` that is not among ``ids``: locked by a claim whose answer was lost."""
    return statement(
        f"""with finished as (
  update __schema__._private_jobs j
  {_GIVE_BACK}
  where j.locked_by = :pool_id and not (j.id = any (:ids))
  returning j.id, j.job_queue_id
)"""
        + _UNLOCK_QUEUES,
        schema,
        ids=BIGINTS,
        pool_id=Text,
    ).columns(id=BigInteger)


@lru_cache
def find_settled(schema: str) -> TextualSelect:
    """Return the id of job ``id`` if it is there, once whoever is deleting it has committed or rolled back."""
    return statement(
        "select j.id from __schema__._private_jobs j where j.id = :id for update", schema, id=BigInteger
    ).columns(id=BigInteger)
