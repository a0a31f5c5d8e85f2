"""Set-based writes of what became of claimed jobs: completed, failed, returned.

Each names the runs that it is about by three arrays: ``ids``, ``attempts`` and ``keyed``, whether there was a key. It
touches a job only while ``locked_by`` is the pool's own id and the attempt that of the run (`gw_sqla.jobs.run`), and
returns the ids that it touched: a missing id is a lost lock. The queue of a job is unlocked in the same statement,
under the same guard. ``updated_at`` stays as it is (contract, section 1).

``around_locks``: rows that another transaction has locked are left alone, job and queue together, and their ids come
back as ``busy``. Without it the statement waits for them, as long as ``lock_timeout`` allows. That is for when somebody
holds a lock: to lock each row before it is written makes every write slower.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Boolean, Double, Integer, SmallInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.selectable import TextualSelect
from sqlalchemy.sql.type_api import TypeEngine

from gw_sqla.statements.quoting import BIGINTS, BOOLEANS, SMALLINTS, TEXTS, statement

__all__ = [
    "complete",
    "complete_alike",
    "complete_by_handler",
    "fail",
    "find_retirements",
    "find_settled",
    "give_back",
    "let_go_of_jobs",
    "let_go_of_queues",
]

_FENCED = """j.id = r.id and j.locked_by = :pool_id and (
    j.attempts = r.attempts or r.keyed and j.key is null and j.attempts = j.max_attempts
  )"""

_NAMED = "select * from unnest(:ids, :attempts, :keyed) as r (id, attempts, keyed)"

_QUEUE_IS_OURS = "select from __schema__._private_job_queues q where q.id = f.job_queue_id and q.locked_by = :pool_id"

_AROUND_LOCKS = f"""named as ({_NAMED}),
free_jobs as (
  select r.*, j.job_queue_id
  from named r
  join __schema__._private_jobs j on {_FENCED}
  for {{lock}} of j skip locked
),
free_queues as (
  select q.id
  from free_jobs f
  join __schema__._private_job_queues q on q.id = f.job_queue_id and q.locked_by = :pool_id
  for no key update of q skip locked
),
runs as (
  select f.*
  from free_jobs f
  where f.job_queue_id is null or f.job_queue_id in (select id from free_queues) or not exists ({_QUEUE_IS_OURS})
)"""

_UNLOCKED = """unlocked as (
  update __schema__._private_job_queues q
  set locked_at = null, locked_by = null
  from written f
  where q.id = f.job_queue_id and q.locked_by = :pool_id
)
select id, false as busy from written"""

_AND_BUSY = f"""
union all
select r.id, true
from named r
join __schema__._private_jobs j on {_FENCED}
where r.id not in (select id from runs)"""

_ATTEMPT_BACK = "greatest(0, j.attempts - 1)"

_RETIRED = "exists (select from __schema__._private_job_retirements retired where retired.id = j.id)"


def _write(
    schema: str,
    written: str,
    *,
    around_locks: bool,
    lock: str = "no key update",
    **parameters: TypeEngine[Any] | type[TypeEngine[Any]],
) -> TextualSelect:
    runs = _AROUND_LOCKS.format(lock=lock) if around_locks else f"runs as ({_NAMED})"
    return statement(
        f"""with {runs},
written as (
  {written}
  returning j.id, j.job_queue_id
),
{_UNLOCKED}{_AND_BUSY if around_locks else ""}""",
        schema,
        ids=BIGINTS,
        attempts=SMALLINTS,
        keyed=BOOLEANS,
        pool_id=Text,
        **parameters,
    ).columns(id=BigInteger, busy=Boolean)


@lru_cache
def complete(schema: str, *, around_locks: bool = False) -> TextualSelect:
    """Delete the jobs."""
    deletion = f"delete from __schema__._private_jobs j using runs r where {_FENCED}"
    return _write(schema, deletion, around_locks=around_locks, lock="update")


@lru_cache
def complete_by_handler(schema: str) -> TextualSelect:
    """Delete one job in a transaction of its handler's; ``completed`` tells whether it was the run's."""
    return statement(
        "select __schema__.sqla_complete_job(:id, :attempt, :keyed, :pool_id) as completed",
        schema,
        id=BigInteger,
        attempt=SmallInteger,
        keyed=Boolean,
        pool_id=Text,
    ).columns(completed=Boolean)


@lru_cache
def complete_alike(schema: str) -> TextualSelect:
    """Delete the jobs ``ids``, all claimed without a key for the same ``attempt``.

    Most jobs are without a key and in their first attempt; this takes two thirds of the time of `complete`.
    """
    return statement(
        f"""with written as (
  delete from __schema__._private_jobs j
  where j.id = any (:ids) and j.locked_by = :pool_id and j.attempts = :attempt
  returning j.id, j.job_queue_id
),
{_UNLOCKED}""",
        schema,
        ids=BIGINTS,
        attempt=SmallInteger,
        pool_id=Text,
    ).columns(id=BigInteger, busy=Boolean)


@lru_cache
def fail(schema: str, *, around_locks: bool = False) -> TextualSelect:
    """Fail the jobs: more arrays give each one's message and what departs from the contract.

    ``delays``: seconds until the next attempt, null for the contract's exp(least(attempts, 10)).
    ``final``: no further attempt. ``payloads``: JSON text that replaces the payload, or null.
    """
    return _write(
        schema,
        f"""update __schema__._private_jobs j
  set last_error = f.message,
      run_at = greatest(now(), j.run_at)
        + coalesce(f.delay, exp(least(j.attempts, 10))) * interval '1 second',
      attempts = case when f.final then greatest(j.attempts, j.max_attempts) else j.attempts end,
      payload = coalesce(cast(f.payload as json), j.payload),
      locked_at = null,
      locked_by = null
  from runs r
  join unnest(:ids, :messages, :delays, :final, :payloads) as f (id, message, delay, final, payload) on f.id = r.id
  where {_FENCED}""",
        around_locks=around_locks,
        messages=TEXTS,
        delays=ARRAY(Double),
        final=BOOLEANS,
        payloads=TEXTS,
    )


@lru_cache
def give_back(schema: str, *, heeding_retirements: bool, around_locks: bool = False) -> TextualSelect:
    """Return the unstarted jobs: unlocked, their attempt given back where attempt and ``keys`` are as claimed.

    One that was removed or replaced meanwhile has lost its key and all its attempts: with one of them back it would run
    after all. With ``heeding_retirements`` neither is one given its attempt that Graphile Worker RS has marked so.
    """
    as_claimed = "j.attempts = r.attempts and j.key is not distinct from c.key"
    if heeding_retirements:
        as_claimed += f" and not {_RETIRED}"
    return _write(
        schema,
        f"""update __schema__._private_jobs j
  set attempts = case when {as_claimed} then {_ATTEMPT_BACK} else j.attempts end, locked_at = null, locked_by = null
  from runs r
  join unnest(:ids, :keys) as c (id, key) on c.id = r.id
  where {_FENCED}""",
        around_locks=around_locks,
        keys=TEXTS,
    )


@lru_cache
def let_go_of_jobs(schema: str, *, heeding_retirements: bool) -> TextualSelect:
    """Unlock the jobs that ``pool_id`` has locked and no run of its own names: those of a claim whose answer was lost.

    Around what others have locked. The jobs are given their attempt back. What such a job was when it was claimed,
    nobody knows: one without a key whose attempts are spent is in its last attempt, or was removed or replaced since;
    that leaves an ``updated_at`` that is not ``created_at``, and then the attempt stays spent. (A job without a key
    that was rescheduled, in its last attempt, of a lost claim, is taken for removed: it fails.)
    """
    removed = "j.key is null and j.attempts >= j.max_attempts and j.updated_at <> j.created_at"
    if heeding_retirements:
        removed = f"({removed} or {_RETIRED})"
    return statement(
        f"""with named as ({_NAMED}),
unnamed as (
  select j.id
  from __schema__._private_jobs j
  where j.locked_by = :pool_id and not exists (select from named r where {_FENCED})
),
free_jobs as (
  select j.id
  from __schema__._private_jobs j
  where j.id in (select id from unnamed) and j.locked_by = :pool_id
  for no key update skip locked
),
written as (
  update __schema__._private_jobs j
  set attempts = case when {removed} then j.attempts else {_ATTEMPT_BACK} end, locked_at = null, locked_by = null
  from free_jobs f
  where j.id = f.id
  returning j.id
)
select id, false as busy from written
union all
select id, true from unnamed where id not in (select id from free_jobs)""",
        schema,
        ids=BIGINTS,
        attempts=SMALLINTS,
        keyed=BOOLEANS,
        pool_id=Text,
    ).columns(id=BigInteger, busy=Boolean)


@lru_cache
def let_go_of_queues(schema: str) -> TextualSelect:
    """Unlock the queues that ``pool_id`` has locked for no job: none that it has locked, none of ``queue_names``.

    Their jobs were deleted while they ran, or let go of. Around what others have locked.
    """
    return statement(
        """with unnamed as (
  select q.id
  from __schema__._private_job_queues q
  where q.locked_by = :pool_id and not (q.queue_name = any (:queue_names)) and not exists (
    select from __schema__._private_jobs j where j.job_queue_id = q.id and j.locked_by = :pool_id
  )
),
free_queues as (
  select q.id
  from __schema__._private_job_queues q
  where q.id in (select id from unnamed) and q.locked_by = :pool_id
  for no key update skip locked
),
written as (
  update __schema__._private_job_queues q
  set locked_at = null, locked_by = null
  from free_queues f
  where q.id = f.id
  returning q.id
)
select id, false as busy from written
union all
select id, true from unnamed where id not in (select id from free_queues)""",
        schema,
        queue_names=TEXTS,
        pool_id=Text,
    ).columns(id=Integer, busy=Boolean)


@lru_cache
def find_retirements(schema: str) -> TextualSelect:
    """Tell whether ``retirements``, the quoted name of Graphile Worker RS's table of that name, is there."""
    return statement("select to_regclass(:retirements) is not null as found", schema, retirements=Text).columns(
        found=Boolean
    )


@lru_cache
def find_settled(schema: str) -> TextualSelect:
    """Return the id of job ``id`` if it is there, once whoever is deleting it has committed or rolled back."""
    return statement(
        "select j.id from __schema__._private_jobs j where j.id = :id for update", schema, id=BigInteger
    ).columns(id=BigInteger)
