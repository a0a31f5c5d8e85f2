"""Jobs that a transaction holds by row locks alone: named in a table first, then completed or leased, or found dead.

What it is for: `gw_sqla.worker.held_claims`. The row that names the jobs is committed by another connection than the
one that holds them, so it outlives a crash. The transaction that ends the hold deletes it: where it is gone, that one
was committed. Its id is the key of an advisory lock that the transaction has, so whoever gets that lock knows that
there is no such transaction any more.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import BigInteger, Boolean, Integer, Interval
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.quoting import BIGINTS, TEXT, statement

__all__ = ["complete_held", "find_dead_holds", "lease_held", "name_held", "rename_held", "settle_dead_holds"]

_OWNERS_SECONDS = "interval '10 seconds'"
"""For so long a hold that has ended is its pool's to judge, which knows what had begun; also after a restart of the
server, which ends all of them."""

_UNNAMED = """unnamed as (
  delete from __schema__._private_sqla_holds h where h.id = :hold_id
)"""


@lru_cache
def name_held(schema: str) -> TextualSelect:
    """Write that hold ``id`` of ``pool_id`` has jobs ``ids``; return which jobs are in holds that died."""
    return statement(
        f"""with dead as (
  select h.job_ids from __schema__._private_sqla_holds h where pg_catalog.pg_try_advisory_xact_lock_shared(h.id)
),
named as (
  insert into __schema__._private_sqla_holds (id, pool_id, job_ids, owned_until)
  values (:id, :pool_id, :ids, pg_catalog.now() + {_OWNERS_SECONDS})
  returning id
)
select cast(array(
  select distinct d.id from dead cross join lateral pg_catalog.unnest(dead.job_ids) as d(id)
) as pg_catalog.text) as suspects
from named""",
        schema,
        id=BigInteger,
        pool_id=TEXT,
        ids=BIGINTS,
    ).columns(suspects=TEXT)


@lru_cache
def complete_held(schema: str) -> TextualSelect:
    """Delete jobs ``ids``, which the caller's transaction has held, and the row of ``hold_id``; how many."""
    return statement(
        f"""with written as (
  delete from __schema__._private_jobs j where j.id = any (:ids) returning j.id
),
{_UNNAMED}
select cast(pg_catalog.count(*) as integer) as written from written""",
        schema,
        ids=BIGINTS,
        hold_id=BigInteger,
    ).columns(written=Integer)


@lru_cache
def lease_held(schema: str) -> TextualSelect:
    """Write the lease of jobs ``ids``, which the caller's transaction has held, and of their queues; how many.

    As the claim would have written it in the same transaction. The row of ``hold_id`` is deleted.
    """
    return statement(
        f"""with written as (
  update __schema__._private_jobs j
  set attempts = j.attempts + 1, locked_at = pg_catalog.now(), locked_by = :pool_id
  where j.id = any (:ids)
  returning j.id, j.job_queue_id
),
locked_queues as (
  update __schema__._private_job_queues q
  set locked_at = pg_catalog.now(), locked_by = :pool_id
  from written w
  where q.id = w.job_queue_id
),
{_UNNAMED}
select cast(pg_catalog.count(*) as integer) as written from written""",
        schema,
        ids=BIGINTS,
        pool_id=TEXT,
        hold_id=BigInteger,
    ).columns(written=Integer)


@lru_cache
def rename_held(schema: str) -> TextualSelect:
    """Have the row of ``hold_id`` name only ``ids``, those that had begun, if its transaction ``has_ended``."""
    return statement(
        """with ended as materialized (
  select pg_catalog.pg_try_advisory_xact_lock(:hold_id) as has_ended
),
kept as (
  update __schema__._private_sqla_holds h
  set job_ids = :ids, owned_until = pg_catalog.now()
  from ended e
  where e.has_ended and h.id = :hold_id and pg_catalog.cardinality(:ids) > 0
),
unnamed as (
  delete from __schema__._private_sqla_holds h
  using ended e
  where e.has_ended and h.id = :hold_id and pg_catalog.cardinality(:ids) = 0
)
select has_ended from ended""",
        schema,
        hold_id=BigInteger,
        ids=BIGINTS,
    ).columns(has_ended=Boolean)


@lru_cache
def find_dead_holds(schema: str) -> TextualSelect:
    """Select the holds that died and are nobody's to judge any more, with their jobs: all that a sweep costs."""
    return statement(
        f"""select h.id, cast(h.job_ids as pg_catalog.text) as job_ids
from __schema__._private_sqla_holds h
where pg_catalog.pg_try_advisory_xact_lock_shared(h.id)
  and greatest(h.owned_until, pg_catalog.pg_postmaster_start_time() + {_OWNERS_SECONDS}) <= pg_catalog.now()
order by h.id""",
        schema,
    ).columns(id=BigInteger, job_ids=TEXT)


_SETTLED = """select
  pool_id as what,
  cast(pg_catalog.array_agg(id order by id) as pg_catalog.text) as job_ids,
  cast(coalesce(
    pg_catalog.array_agg(id order by id) filter (where is_final), cast(array[] as bigint[])
  ) as pg_catalog.text) as final_ids
from jobs
group by pool_id
order by pool_id"""


@lru_cache
def settle_dead_holds(schema: str) -> TextualSelect:
    """Spend an attempt of each job for each of ``hold_ids`` that had it; a row for each pool of which there was one.

    ``job_ids``: only of these, unless it is null. Those that nobody has now: what is locked, or held again, is kept
    for the next time; a job that was replaced or rescheduled since is left alone. They say in ``last_error`` what
    happened, and wait for ``delay``.
    """
    return statement(
        f"""with dead as materialized (
  select h.id, h.pool_id, h.held_at, h.job_ids
  from __schema__._private_sqla_holds h
  where h.id = any (:hold_ids) and pg_catalog.pg_try_advisory_xact_lock(h.id)
  for update skip locked
),
named as (
  select d.id as hold_id, d.pool_id, d.held_at, n.id
  from dead d
  cross join lateral pg_catalog.unnest(d.job_ids) as n(id)
),
free_jobs as (
  select j.id, n.pool_id, n.held_at >= j.updated_at as is_as_held
  from named n
  cross join lateral (
    select j.id, j.updated_at
    from __schema__._private_jobs j
    where j.id = n.id and j.locked_at is null and (:job_ids is null or j.id = any (:job_ids))
    for no key update skip locked
  ) j
),
deaths as (
  select f.id, pg_catalog.count(*) as deaths, pg_catalog.min(f.pool_id) as pool_id
  from free_jobs f
  where f.is_as_held
  group by f.id
),
jobs as (
  update __schema__._private_jobs j
  set attempts = least(j.attempts + d.deaths, j.max_attempts),
      run_at = greatest(j.run_at, pg_catalog.now() + :delay),
      last_error = 'the worker died while it had this job: the connection of ' || d.pool_id || ' ended'
  from deaths d
  where j.id = d.id and j.attempts < j.max_attempts
  returning j.id, j.attempts >= j.max_attempts as is_final, d.pool_id
),
unsettled as (
  select n.hold_id, pg_catalog.array_agg(n.id) as ids
  from named n
  join __schema__._private_jobs j on j.id = n.id
  where n.id not in (select f.id from free_jobs f)
  group by n.hold_id
),
kept as (
  update __schema__._private_sqla_holds h
  set job_ids = u.ids
  from unsettled u
  where h.id = u.hold_id
),
unnamed as (
  delete from __schema__._private_sqla_holds h
  using dead d
  where h.id = d.id and d.id not in (select u.hold_id from unsettled u)
)
{_SETTLED}""",
        schema,
        hold_ids=BIGINTS,
        job_ids=BIGINTS,
        delay=Interval,
    ).columns(what=TEXT, job_ids=TEXT, final_ids=TEXT)
