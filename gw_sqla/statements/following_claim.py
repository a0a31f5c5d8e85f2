"""Claims of the jobs that follow in named queues whose locks the pool has: for forwarded tasks, many of one in a batch.

A claim takes one job of a queue, since its jobs run one after the other. What is forwarded is only sent, in order, and
a queue's lock is held until all that was sent is confirmed; so several may go at once, if what was claimed is sent
together, and settled together (`gw_sqla.worker.forwarder`).

Jobs of one queue that have one run_at, being added in one transaction, go by their ids, as in any claim.

A job with a large payload ends what is taken of its queue; it comes with an ordinary claim.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Integer
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.claim_rules import COLUMNS, LOCK_JOBS, Variant, claim_statement
from gw_sqla.statements.quoting import INTEGERS, TEXT

__all__ = ["claim_following"]

_FOLLOWING = (
    """
with
  following as (
    select f.*, q.queue_name
    from __schema__._private_job_queues q
    cross join lateral (
      select j.id, j.priority, j.run_at, j.job_queue_id, {size} as size
      from __schema__._private_jobs j
      where j.job_queue_id = q.id and {due}
      order by j.priority, j.run_at, j.id
      limit :each
      for no key update skip locked
    ) f
    where q.id = any (:queue_ids) and q.locked_by = :pool_id
  ),
  up_to_large as (
    select *,
      pg_catalog.bool_or(size > :large) over (partition by job_queue_id order by priority, run_at, id) as is_cut
    from following
  ),
  chosen as (
    select * from up_to_large where not is_cut order by priority, run_at, id limit :count
  )"""
    + LOCK_JOBS
)


@lru_cache
def claim_following(schema: str, variant: Variant = Variant()) -> TextualSelect:  # noqa: B008 - it never changes
    """Claim up to ``count`` jobs of ``task_identifiers`` in the queues ``queue_ids``, which ``pool_id`` has locked.

    The most urgent of them, of each queue the first ones and ``each`` at most. Columns as of `claim`.
    """
    return claim_statement(_FOLLOWING, schema, variant, pool_id=TEXT, queue_ids=INTEGERS, each=Integer).columns(
        **COLUMNS
    )
