"""The settings of a transaction in which jobs are read for people.

Plans go by indexes, whatever the statistics say: the ranges of `gw_sqla.statements.job_ranges` are small, which
PostgreSQL cannot see where their ends are rows of several columns: it would read the whole table, or by another index
and sort.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Integer
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.models import WorkerBase
from gw_sqla.statements.quoting import TEXT, statement

__all__ = ["set_up"]


@lru_cache
def set_up(schema: str = str(WorkerBase.metadata.schema)) -> TextualSelect:
    """Bound statements by ``milliseconds``, or by less where less is set; return by how many.

    ``sorting``: "on" where the rows in question are few, and no index has them in order; else "off".

    Times as text are ISO's, and nothing is compiled. All until the end of the transaction, or of the savepoint.
    """
    return statement(
        """select
  pg_catalog.set_config('statement_timeout', cast(b.milliseconds as pg_catalog.text), true),
  pg_catalog.set_config('jit', 'off', true),
  pg_catalog.set_config('enable_seqscan', 'off', true),
  pg_catalog.set_config('enable_bitmapscan', 'off', true),
  pg_catalog.set_config('enable_sort', :sorting, true),
  pg_catalog.set_config('datestyle', 'ISO', true),
  b.milliseconds
from (
  select least(
    :milliseconds,
    case when s.now <> '0' then
      cast(extract(epoch from cast(s.now as interval)) operator(pg_catalog.*) 1000 as int)
    end
  ) as milliseconds
  from (select pg_catalog.current_setting('statement_timeout') as now) s
) b""",
        schema,
        milliseconds=Integer,
        sorting=TEXT,
    ).columns(milliseconds=Integer)
