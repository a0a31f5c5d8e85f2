"""The claim: one statement that locks due jobs for a worker pool, at most one of each named queue.

Two branches. Jobs without a queue come from an index of their own (``sqla_jobs_ready_index``) in order. For named
queues, each free queue gives its first due job (a lateral join over ``sqla_jobs_queue_index``), the queues are taken
in the order of those jobs; so one claim has one job of a queue by construction, and a locked queue costs
nothing, however many jobs wait behind it. The peers walk all jobs in order and test each one's queue:
with 100,000 jobs behind locked queues their claim falls to a fraction, and a batch can take several
jobs of one queue (contract, section 4).

The queue's row is locked with SKIP LOCKED and its availability is tested again on the newest version
of the row, so two pools never hold one queue. Task ids are looked up by name in the same statement:
no cache of ids can go stale when a peer collects unused tasks.

The row locks are those of an update that leaves the keys alone: a foreign key from a user's table takes
locks that hide a job from the peers' FOR UPDATE SKIP LOCKED, and not from this.

The first branch goes on after a job that the caller names (`gw_sqla.worker.claim_cursor` says why):
``after_priority``, ``after_run_at`` and ``after_id``, of which the id is for jobs that were added together and have one
``run_at``.

The time of the lock is the same for all, and comes as a number: a time in each row costs the driver almost a
microsecond.

A claim takes no more than `MOST_BYTES` of payloads, or one job, however many it may take: they are held in memory, and
a queue of large ones is claimed a few at a time. One half is for as many as the claim may take, each not ``large``; the
other for those that are: ``most_large`` of them (`Bounds`). Adding their sizes up in a window would take more of them,
and makes every claim slower, by 4 % for 24 small jobs. A payload of up to a kilobyte as it is stored counts for
nothing, though compression may have made it 255 times smaller; of others the text is measured. With ``max_size`` a
larger payload is not fetched: it comes as an empty text, which is no JSON.

Cost to know: the second branch looks at one job for each free queue that has a row, so it grows with
the number of queues, not with the number of jobs.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Integer, SmallInteger
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.selectable import TextualSelect
from sqlalchemy.sql.type_api import TypeEngine

from gw_sqla.statements.quoting import BIGINTS, EARLIEST, TEXT, TEXTS, TIMESTAMP, statement

__all__ = ["MOST_BYTES", "Bounds", "Variant", "candidates", "claim"]

_DUE = """j.is_available = true and j.run_at <= {now}
      and j.task_id = any (
        array(select t.id from __schema__._private_tasks t where t.identifier = any (:task_identifiers))
      )"""

MOST_BYTES = 64 * 2**20
"""How many bytes of payloads one claim fetches, give or take one job's."""

_SMALL = 1024

_SIZE = """case
        when pg_catalog.pg_column_size(j.payload) <= {small} then {small}
        else pg_catalog.octet_length(cast(j.payload as pg_catalog.text))
      end"""

_ALLOWED = """case
        when j.flags is null then true
        when pg_catalog.jsonb_typeof(j.flags) = 'object'
        then j.flags operator(pg_catalog.-) :flag_allowlist operator(pg_catalog.=) pg_catalog.jsonb '{}'
        else false
      end"""

_CHOSEN = """
with
  unqueued as (
    select j.id, j.priority, j.run_at, j.job_queue_id, {size} as size, null as queue_name
    from __schema__._private_jobs j
    where j.job_queue_id is null and {due}
      and (j.priority, j.run_at, j.id) > (:after_priority, :after_run_at, :after_id)
    order by j.priority, j.run_at, j.id
    limit :count
    for no key update skip locked
  ),
  free_queues as (
    select q.id, q.queue_name
    from __schema__._private_job_queues q
    cross join lateral (
      select j.priority, j.run_at
      from __schema__._private_jobs j
      where j.job_queue_id = q.id and {due}
      order by j.priority, j.run_at
      limit 1
    ) head
    where q.is_available = true{open}
    order by head.priority, head.run_at
    limit :count
    for no key update of q skip locked
  ),
  queued as (
    select head.*, q.queue_name
    from free_queues q
    cross join lateral (
      select j.id, j.priority, j.run_at, j.job_queue_id, {size} as size
      from __schema__._private_jobs j
      where j.job_queue_id = q.id and {due}
      order by j.priority, j.run_at{tie}
      limit 1
      for no key update skip locked
    ) head
  ),
  foremost as (
    select * from unqueued union all select * from queued
    order by priority, run_at, id
    limit :count
  ),
  chosen as (
    select *
    from foremost
    where not {large} or id in (
      select id from foremost where {large} order by priority, run_at, id limit :most_large
    )
  )
"""

LOCK_JOBS = """
update __schema__._private_jobs j
set attempts = j.attempts + 1, locked_at = pg_catalog.now(), locked_by = :pool_id
from chosen c, __schema__._private_tasks t
where j.id = c.id and t.id = j.task_id
returning
  j.id,
  t.identifier as task_identifier,
  {payload} as payload_text,
  c.queue_name,
  j.priority,
  greatest(j.run_at, {earliest}) as run_at,
  j.attempts, j.max_attempts, j.key,
  cast(j.flags as pg_catalog.text) as flags_text,
  (select cast(extract(epoch from pg_catalog.now()) operator(pg_catalog.*) 1000000 as bigint)) as locked_us,
  c.job_queue_id as queue_id
"""
"""Locks the ``chosen`` jobs, and returns them."""

_CLAIM = (
    _CHOSEN
    + """,
  locked_queues as (
    update __schema__._private_job_queues q
    set locked_at = pg_catalog.now(), locked_by = :pool_id
    from chosen c
    where q.id = c.job_queue_id
  )"""
    + LOCK_JOBS
)


class Variant(NamedTuple):
    """What a claim heeds beyond its tasks; each has a parameter.

    ``forbidding_flags``: jobs that have one of ``forbidden_flags`` stay; ``accepting_flags``: those that have none of
    ``accepted_flags``; ``allowlisting``: those that have one that is not of ``flag_allowlist``. What Graphile Worker RS
    answers, of flags that only SQL can write too: for the first two an array has its strings as flags, and a string is
    one; for the allowlist what is neither null nor an object stays. Their values are not looked at.

    ``by_clock``: a job is due by the time ``now``, not by the database's; locks have the database's time all the same.
    ``sized``: a payload of more than ``max_size`` bytes is not fetched; ``leaving``: and its job stays. ``refusing``:
    jobs ``refused_ids`` stay; ``pausing_queues``: those of ``paused_queues``; ``among``: all but ``among_ids``.
    ``in_order``: of the jobs of a queue that have one run_at, that with the least id comes first; looking for it takes
    longer the more of them there are.
    """

    forbidding_flags: bool = False
    accepting_flags: bool = False
    allowlisting: bool = False
    by_clock: bool = False
    sized: bool = False
    leaving: bool = False
    refusing: bool = False
    pausing_queues: bool = False
    among: bool = False
    in_order: bool = False


class Bounds(NamedTuple):
    """Parameters of a claim: of payloads that have more than ``large`` bytes it takes ``most_large``."""

    large: int
    most_large: int

    @classmethod
    def of(cls, count: int, max_size: int | None) -> Bounds:
        """Return those of a claim of up to ``count`` jobs."""
        half = MOST_BYTES // 2
        return cls(large=max(_SMALL, half // count), most_large=max(1, half // max_size) if max_size else 1)


COLUMNS: dict[str, TypeEngine[Any]] = {
    "id": BigInteger(),
    "task_identifier": TEXT,
    "payload_text": TEXT,
    "queue_name": TEXT,
    "priority": SmallInteger(),
    "run_at": TIMESTAMP,
    "attempts": SmallInteger(),
    "max_attempts": SmallInteger(),
    "key": TEXT,
    "flags_text": TEXT,
    "locked_us": BigInteger(),
    "queue_id": Integer(),
}
"""Those of ClaimedJob."""


@lru_cache
def claim(schema: str, variant: Variant = Variant()) -> TextualSelect:  # noqa: B008 - it never changes
    """Claim up to ``count`` jobs of ``task_identifiers`` for ``pool_id``; the columns of ClaimedJob.

    Jobs without a queue only after ``after_priority``, ``after_run_at`` and ``after_id``. Rows come back in no promised
    order.
    """
    return claim_statement(_CLAIM, schema, variant, pool_id=TEXT).columns(**COLUMNS)


@lru_cache
def candidates(schema: str, variant: Variant) -> TextualSelect:
    """Select the ids of the jobs that the same claim would lock now, in its order."""
    text = f"{_CHOSEN}\nselect id from chosen order by priority, run_at, id"
    return claim_statement(text, schema, variant).columns(id=BigInteger)


def claim_statement(
    text: str, schema: str, variant: Variant, **more: TypeEngine[Any] | type[TypeEngine[Any]]
) -> TextClause:
    """Return a statement of a claim's, its text filled in and its parameters typed."""
    due = _DUE.format(now=":now" if variant.by_clock else "pg_catalog.now()")
    small = f"least({_SMALL}, :max_size / 256)" if variant.sized else str(_SMALL)
    size = _SIZE.format(small=small)
    conditions: list[tuple[bool, str, str, TypeEngine[Any]]] = [
        (variant.forbidding_flags, "(j.flags ?| :forbidden_flags) is not true", "forbidden_flags", TEXTS),
        (variant.accepting_flags, "j.flags ?| :accepted_flags", "accepted_flags", TEXTS),
        (variant.allowlisting, _ALLOWED, "flag_allowlist", TEXTS),
        (variant.leaving, f"{size} <= :max_size", "max_size", Integer()),
        (variant.refusing, "j.id <> all (:refused_ids)", "refused_ids", BIGINTS),
        (variant.among, "j.id = any (:among_ids)", "among_ids", BIGINTS),
    ]
    for is_heeded, condition, name, kind in conditions:
        if is_heeded:
            due += f"\n      and {condition}"
            more[name] = kind
    if variant.by_clock:
        more["now"] = TIMESTAMP
    large, payload = "size > :large", "cast(j.payload as pg_catalog.text)"
    if variant.sized:
        more["max_size"] = Integer
        large = "(size > :large and size <= :max_size)"
        payload = f"case when c.size <= :max_size then {payload} else '' end"
    if variant.pausing_queues:
        more["paused_queues"] = TEXTS
    is_open = " and q.queue_name <> all (:paused_queues)" if variant.pausing_queues else ""
    kinds: dict[str, TypeEngine[Any] | type[TypeEngine[Any]]] = {
        "task_identifiers": TEXTS,
        "count": Integer,
        "large": Integer,
        "most_large": Integer,
        "after_priority": Integer,
        "after_run_at": TIMESTAMP,
        "after_id": BigInteger,
    }
    tie = ", j.id" if variant.in_order else ""
    text = text.format(open=is_open, due=due, earliest=EARLIEST, size=size, large=large, payload=payload, tie=tie)
    named = {name: kind for name, kind in (kinds | more).items() if re.search(rf":{name}\b", text)}
    return statement(text, schema, **named)
