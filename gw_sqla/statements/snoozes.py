"""The counts of snoozed jobs (`gw_sqla.statements.outcomes.snooze`) in ``_private_sqla_snoozes``, by the job's id.

A table of our own, for no column of the job's could hold the count: attempts and max_attempts are what people and peers
reckon with, flags are what they route by, last_error is what they show. A job that ends leaves its count behind, as
nothing else about a job costs the deletion of each; what is left is taken out now and then. No id of a job comes back.
A job that is replaced by its key is the same row, and goes on counting.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.quoting import FIRST_DAY, LAST_DAY, TIMESTAMP, statement

__all__ = ["find_snoozes", "forget_snoozes"]


@lru_cache
def find_snoozes(schema: str) -> TextualSelect:
    """Select how often the job ``id`` was snoozed, when last, and why; no row where it never was."""
    return statement(
        f"""select s.snoozes, greatest(least(s.last_at, {LAST_DAY}), {FIRST_DAY}) as last_at, s.reason
from __schema__._private_sqla_snoozes s
where s.job_id = :id""",
        schema,
        id=BigInteger,
    ).columns(snoozes=Integer, last_at=TIMESTAMP, reason=Text)


@lru_cache
def forget_snoozes(schema: str) -> TextualSelect:
    """Delete up to ``count`` counts of jobs that are gone; what others are deleting too is left to them."""
    return statement(
        """delete from __schema__._private_sqla_snoozes s
where s.job_id in (
  select s.job_id
  from __schema__._private_sqla_snoozes s
  where not exists (select from __schema__._private_jobs j where j.id = s.job_id)
  limit :count
  for update skip locked
)
returning s.job_id""",
        schema,
        count=Integer,
    ).columns(job_id=BigInteger)
