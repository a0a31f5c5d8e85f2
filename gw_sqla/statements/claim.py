"""The claim: one statement that locks due jobs for a worker pool, at most one of each named queue.

Two branches. Jobs without a queue come from an index of their own (``sqla_jobs_ready_index``), in order. Of those in
named queues the first are ``walked`` in order, over ``sqla_jobs_turn_index``: a few times as many as are asked for.
Each of their queues that is free gives its first due job, by ``sqla_jobs_queue_index``. Where they are of too few
free queues, and more jobs wait, each queue that has a job is looked up: ``others`` skips from one to the next.
So one claim has one job of a queue by construction; rows of queues without jobs cost nothing; and jobs
behind locked queues cost the walk, however many they are. The peers walk all jobs in order and test each one's queue:
with 100,000 jobs behind locked queues their claim falls to a fraction, and a batch can take several jobs of one queue
(contract, section 4).

Looking at the first job of each free queue that has a row, as claims did before, costs 0.2 microseconds for each row,
and 110 ms a claim with one job in each of 100,000, where a walk takes 8 ms for 500 of them. ``others`` takes 3
microseconds for each queue that has a due job; only a long run of jobs in few queues at the head asks for it.

Within a priority, jobs that are not due yet come last. So one priority after the other is looked at
(``priorities``), and those are stepped over: read in one scan, a million of them cost each look 20 ms.

The queue's row is locked with SKIP LOCKED and its availability is tested again on the newest version
of the row, so two pools never hold one queue. The row locks are those of an update that leaves the keys alone: a
foreign key from a user's table takes locks that hide a job from the peers' FOR UPDATE SKIP LOCKED, and not from this.

A claim's `Reach` says what it looks at. In a backlog both branches go on after jobs that the caller names
(`gw_sqla.worker.claim_cursor` says why), by priority, run_at and id: some that were added together have one run_at.
``released_queues`` give their first due job, too, wherever it is. Without the branch of queues a claim of 24
jobs takes a tenth less.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import BigInteger
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.claim_rules import COLUMNS, LOCK_JOBS, Reach, Variant, claim_statement
from gw_sqla.statements.quoting import TEXT

__all__ = ["candidates", "claim"]

_WALK = "3 * :count + 100"
"""How many jobs in queues are walked. Twice as many made no claim faster; of jobs that wait for locked queues, each
costs half a microsecond."""

_LEAST_ID = "cast(-9223372036854775808 as bigint)"

_PRIORITIES = """{name}priorities as (
    select {first}
    union all
    select ({next}), '-infinity', {least_id}
    from {name}priorities p where p.priority is not null
  )"""
"""The priorities of jobs, and after what in each of them to look; the last is null."""

_PRIORITY = """
      select cast(j.priority as integer) from __schema__._private_jobs j
      where j.is_available = true and j.job_queue_id {kind}{less_urgent}
      order by j.priority, j.run_at, j.id limit 1
    """

_UNQUEUED = """unqueued as (
    select j.*
    from priorities p
    cross join lateral (
      select j.id, j.priority, j.run_at, j.job_queue_id, {size} as size, null as queue_name
      from __schema__._private_jobs j
      where j.job_queue_id is null and {due}
        and j.priority = p.priority and (j.run_at, j.id) > (p.run_at, p.id)
      order by j.run_at, j.id
      limit :count
      for no key update skip locked
    ) j
    limit :count
  )"""

_WALKED = """walked as (
    select j.*
    from queued_priorities p
    cross join lateral (
      select j.job_queue_id, j.priority, j.run_at, j.id
      from __schema__._private_jobs j
      where j.job_queue_id is not null and {due}
        and j.priority = p.priority and (j.run_at, j.id) > (p.run_at, p.id)
      order by j.run_at, j.id
      limit _walk_
    ) j
    limit _walk_
  )""".replace("_walk_", _WALK)

_AMONG = """chosen as (
    select m.id, m.priority, m.run_at, m.job_queue_id, j.size, q.queue_name
    from (
      select j.*
      from pg_catalog.unnest(:among_ids) as among(id)
      cross join lateral (
        select j.id, j.priority, j.run_at, j.job_queue_id
        from __schema__._private_jobs j
        where j.id = among.id and {due}
        offset 0
      ) j
      order by j.priority, j.run_at, j.id
    ) m
    left join lateral (
      select q.id, q.queue_name
      from __schema__._private_job_queues q
      where q.id = m.job_queue_id and q.is_available = true{open}
      for no key update skip locked
    ) q on true
    cross join lateral (
      select {size} as size
      from __schema__._private_jobs j
      where j.id = m.id and j.job_queue_id is not distinct from q.id and {due}
      for no key update skip locked
    ) j
    limit 1
  )"""
"""Instead of all that, where few jobs are looked up by their ids, for one of them.

It is planned in a fraction of the time, for the test kit plans one for each test. Each id by itself, or the planner may
read a whole index instead.
"""

_RELEASED = """released as (
    select head.*
    from pg_catalog.unnest(:released_queues) as q(id)
    cross join lateral (
      select j.job_queue_id, j.priority, j.run_at, j.id
      from __schema__._private_jobs j
      where j.job_queue_id = q.id and {due}
      order by j.priority, j.run_at, j.id
      limit 1
    ) head
  )"""

_OTHERS = """others as (
    select
      -2147483648 as job_queue_id,
      cast(0 as smallint) as priority, pg_catalog.now() as run_at, cast(null as bigint) as id
    where (select pg_catalog.count(*) from walked) = _walk_ and 2 * :count > (
      select pg_catalog.count(*)
      from (
        select from (select distinct job_queue_id as id from walked) w
        join __schema__._private_job_queues q on q.id = w.id
        where q.is_available = true{open}
        limit 2 * :count
      ) free
    )
    union all
    select following.*
    from others o
    cross join lateral (
      select j.job_queue_id, j.priority, j.run_at, j.id
      from __schema__._private_jobs j
      where j.job_queue_id > o.job_queue_id and {due}
      order by j.job_queue_id, j.priority, j.run_at, j.id
      limit 1
    ) following
  )""".replace("_walk_", _WALK)
"""The first due job of each queue; before them a row without an id.

Twice as many free queues must be known as are asked for: some may be taken by other pools in this moment.
"""

_QUEUED = """free_queues as (
    select q.*
    from (
      select *
      from (
        select distinct on (job_queue_id) *
        from (_met_) met
        order by job_queue_id, priority, run_at, id
      ) heads
      order by priority, run_at, id
    ) h
    cross join lateral (
      select q.id, q.queue_name
      from __schema__._private_job_queues q
      where q.id = h.job_queue_id and q.is_available = true{open}
      for no key update skip locked
    ) q
    limit :count
  ),
  queued as (
    select head.*, q.queue_name
    from free_queues q
    cross join lateral (
      select j.id, j.priority, j.run_at, j.job_queue_id, {size} as size
      from __schema__._private_jobs j
      where j.job_queue_id = q.id and {due}
      order by j.priority, j.run_at, j.id
      limit 1
      for no key update skip locked
    ) head
  )"""

_CHOSEN = """foremost as (
    select * from _branches_
    order by priority, run_at, id
    limit :count
  ),
  chosen as (
    select *
    from foremost
    where not {large} or id in (
      select id from foremost where {large} order by priority, run_at, id limit :most_large
    )
  )"""

_LOCKED_QUEUES = """locked_queues as (
    update __schema__._private_job_queues q
    set locked_at = pg_catalog.now(), locked_by = :pool_id
    from chosen c
    where q.id = c.job_queue_id
  )"""


@lru_cache
def claim(schema: str, variant: Variant = Variant()) -> TextualSelect:  # noqa: B008 - it never changes
    """Claim up to ``count`` jobs of ``task_identifiers`` for ``pool_id``; the columns of ClaimedJob.

    Those that `Variant.reach` says. Rows come back in no promised order.
    """
    parts = _parts(variant.reach)
    if variant.reach is not Reach.ONWARD_UNQUEUED:
        parts.append(_LOCKED_QUEUES)
    return claim_statement(_with(parts) + LOCK_JOBS, schema, variant, pool_id=TEXT).columns(**COLUMNS)


@lru_cache
def candidates(schema: str, variant: Variant) -> TextualSelect:
    """Select the ids of the jobs that the same claim would lock now, in its order."""
    text = _with(_parts(variant.reach)) + "\nselect id from chosen order by priority, run_at, id"
    return claim_statement(text, schema, variant).columns(id=BigInteger)


def _parts(reach: Reach) -> list[str]:
    """Return what leads to the ``chosen`` jobs."""
    if reach is Reach.AMONG:
        return [_AMONG]
    both = _CHOSEN.replace("_branches_", "unqueued union all select * from queued")
    unqueued = [_priorities("", "is null", reach), _UNQUEUED]
    if reach is Reach.ONWARD_UNQUEUED:
        return [*unqueued, _CHOSEN.replace("_branches_", "unqueued")]
    walked = [_priorities("queued_", "is not null", reach), _WALKED]
    more, met = _OTHERS, "others where id is not null"
    if reach is Reach.ONWARD:
        more, met = _RELEASED, "released"
    queued = _QUEUED.replace("_met_", f"select * from walked union all select * from {met}")
    return [*unqueued, *walked, more, queued, both]


def _priorities(name: str, kind: str, reach: Reach) -> str:
    if reach is Reach.ALL:
        most_urgent = _PRIORITY.format(kind=kind, less_urgent="")
        first = f"({most_urgent}) as priority, pg_catalog.timestamptz '-infinity' as run_at, {_LEAST_ID} as id"
    else:
        first = f":after_{name}priority as priority, :after_{name}run_at as run_at, :after_{name}id as id"
    following = _PRIORITY.format(kind=kind, less_urgent=" and j.priority > p.priority")
    return _PRIORITIES.format(name=name, first=first, next=following, least_id=_LEAST_ID)


def _with(parts: Sequence[str]) -> str:
    return "\nwith recursive\n  " + ",\n  ".join(parts)
