"""Set-based writes of what became of claimed jobs: completed, failed, returned, snoozed.

Each names the runs that it is about by arrays: ``ids``, ``attempts``, ``keyed`` (whether there was a key),
``locked_ats`` and ``queue_ids``. It touches a job only while ``locked_by`` is the pool's own id, the attempt that of
the run, and the lock not younger than the run (`gw_sqla.jobs.run`), and returns the ids that it touched: a missing id
is a lost lock. The queue that was locked with the job is unlocked in the same statement, under the same guard; not the
one that the job is in by now. ``updated_at`` stays as it is (contract, section 1).

``around_locks``: rows that another transaction has locked are left alone, job and queue together, and their ids come
back as ``busy``. Without it the statement waits for them, as long as ``lock_timeout`` allows. That is for when somebody
holds a lock: to lock each row before it is written makes every write slower.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import BigInteger, Boolean, Double, Integer, SmallInteger
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.fragments import ATTEMPT_BACK, RETIRED, UNLOCK
from gw_sqla.statements.outcome_writes import FENCED, write
from gw_sqla.statements.quoting import (
    BIGINTS,
    BOOLEANS,
    INTEGERS,
    TEXT,
    TEXTS,
    TIMESTAMP,
    statement,
)

__all__ = [
    "complete",
    "complete_alike",
    "complete_by_handler",
    "fail",
    "find_if_still_there",
    "give_back",
    "snooze",
]


@lru_cache
def complete(schema: str, *, around_locks: bool = False) -> TextualSelect:
    """Delete the jobs."""
    deletion = f"delete from __schema__._private_jobs j using runs r where {FENCED}"
    return write(schema, deletion, around_locks=around_locks, lock="update")


@lru_cache
def complete_by_handler(schema: str) -> TextualSelect:
    """Delete one job in a transaction of its handler's; ``completed`` tells whether it was the run's."""
    return statement(
        """select __schema__.sqla_complete_job(
  cast(:id as bigint), cast(:attempt as smallint), cast(:keyed as boolean),
  cast(:locked_at as timestamp with time zone), cast(:queue_id as integer), :pool_id
) as completed""",
        schema,
        id=BigInteger,
        attempt=SmallInteger,
        keyed=Boolean,
        locked_at=TIMESTAMP,
        queue_id=Integer,
        pool_id=TEXT,
    ).columns(completed=Boolean)


@lru_cache
def complete_alike(schema: str) -> TextualSelect:
    """Delete the jobs ``ids``, all claimed without a key and a queue for the same ``attempt``, not after ``locked_at``.

    One row: the ids of those that were deleted, or null where all were. Most jobs are without a key and in their first
    attempt; this takes half of the time of `complete`. Only for a pool
    that knows all its claims: else a lock could pass that is younger than its run, where it is not after ``locked_at``.
    """
    return statement(
        """with written as (
  delete from __schema__._private_jobs j
  where j.id = any (:ids) and j.locked_by = :pool_id and j.attempts = :attempt and j.locked_at <= :locked_at
  returning j.id
)
select case
  when (select pg_catalog.count(*) from written) < pg_catalog.cardinality(:ids)
  then cast(array(select id from written) as pg_catalog.text)
end as written_ids""",
        schema,
        ids=BIGINTS,
        attempt=SmallInteger,
        locked_at=TIMESTAMP,
        pool_id=TEXT,
    ).columns(written_ids=TEXT)


@lru_cache
def fail(schema: str, *, around_locks: bool = False, by_clock: bool = False) -> TextualSelect:
    """Fail the jobs: more arrays give each one's message and what departs from the contract.

    ``delays``: seconds until the next attempt, null for the contract's exp(least(attempts, 10)).
    ``final``: no further attempt. ``payloads``: JSON text that replaces the payload, or null. ``by_clock``: the wait
    begins at the time ``now``, not at the database's.
    """
    now = ":now" if by_clock else "pg_catalog.now()"
    return write(
        schema,
        f"""update __schema__._private_jobs j
  set last_error = r.message,
      run_at = greatest({now}, j.run_at)
        + coalesce(r.delay, pg_catalog.exp(least(j.attempts, 10))) * interval '1 second',
      attempts = case when r.final then greatest(j.attempts, j.max_attempts) else j.attempts end,
      payload = coalesce(cast(r.payload as pg_catalog.json), j.payload),
      {UNLOCK}
  from runs r
  where {FENCED}""",
        around_locks=around_locks,
        now=by_clock,
        messages=("message", TEXTS),
        delays=("delay", ARRAY(Double)),
        final=("final", BOOLEANS),
        payloads=("payload", TEXTS),
    )


@lru_cache
def give_back(schema: str, *, heeding_retirements: bool, around_locks: bool = False) -> TextualSelect:
    """Return the unstarted jobs: unlocked, their attempt given back where attempt and ``keys`` are as claimed.

    One that was removed or replaced meanwhile has lost its key and all its attempts: with one of them back it would run
    after all. With ``heeding_retirements`` neither is one given its attempt that Graphile Worker RS has marked so.
    """
    as_claimed = _as_claimed(heeding_retirements)
    return write(
        schema,
        f"""update __schema__._private_jobs j
  set attempts = case when {as_claimed} then {ATTEMPT_BACK} else j.attempts end, {UNLOCK}
  from runs r
  where {FENCED}""",
        around_locks=around_locks,
        keys=("key", TEXTS),
    )


_SNOOZES = """,
counted as (
  insert into __schema__._private_sqla_snoozes as s (job_id, snoozes, reason)
  select w.id, w.snoozes, w.reason
  from written w
  where w.snoozes is not null
  on conflict (job_id) do update
  set snoozes = excluded.snoozes, reason = excluded.reason, last_at = pg_catalog.now()
),
begun_anew as (
  delete from __schema__._private_sqla_snoozes s
  using written w
  where s.job_id = w.id and w.snoozes is null
)"""


@lru_cache
def snooze(
    schema: str, *, heeding_retirements: bool, around_locks: bool = False, by_clock: bool = False
) -> TextualSelect:
    """Let the jobs run ``delays`` seconds later, their attempts given back, and count that in a table of our own.

    ``snoozes`` tells how often that was. It is null where the job has failed in place of that, with its ``messages``
    after ``failed_delays`` as in `fail`: after ``limits`` snoozes, when the count begins anew, and where the job is not
    as it was claimed, with its ``keys`` (see `give_back`). ``by_clock`` as in `fail`.
    """
    now = ":now" if by_clock else "pg_catalog.now()"
    is_snoozed = f"r.snoozes <= r.most and {_as_claimed(heeding_retirements)}"
    return write(
        schema,
        f"""update __schema__._private_jobs j
  set attempts = case when {is_snoozed} then {ATTEMPT_BACK} else j.attempts end,
      last_error = case when {is_snoozed} then j.last_error else r.message end,
      run_at = greatest({now}, j.run_at) + case
        when {is_snoozed} then r.delay else coalesce(r.failed_delay, pg_catalog.exp(least(j.attempts, 10)))
      end * interval '1 second',
      payload = coalesce(cast(r.payload as pg_catalog.json), j.payload),
      {UNLOCK}
  from (
    select r.*, 1 + coalesce(
      (select s.snoozes from __schema__._private_sqla_snoozes s where s.job_id = r.id), 0
    ) as snoozes
    from runs r
  ) r
  where {FENCED}""",
        around_locks=around_locks,
        returning="j.id, case when j.attempts < r.attempts then r.snoozes end as snoozes, r.reason",
        then=_SNOOZES,
        counts="snoozes",
        now=by_clock,
        keys=("key", TEXTS),
        delays=("delay", ARRAY(Double)),
        limits=("most", INTEGERS),
        reasons=("reason", TEXTS),
        payloads=("payload", TEXTS),
        messages=("message", TEXTS),
        failed_delays=("failed_delay", ARRAY(Double)),
    )


def _as_claimed(heeding_retirements: bool) -> str:
    """Whether the attempt may be given back."""
    as_claimed = "j.attempts = r.attempts and j.key is not distinct from r.key"
    return f"{as_claimed} and not {RETIRED}" if heeding_retirements else as_claimed


@lru_cache
def find_if_still_there(schema: str) -> TextualSelect:
    """Return the id of job ``id`` if it is there, once whoever is deleting it has committed or rolled back."""
    return statement(
        "select j.id from __schema__._private_jobs j where j.id = :id for update", schema, id=BigInteger
    ).columns(id=BigInteger)
