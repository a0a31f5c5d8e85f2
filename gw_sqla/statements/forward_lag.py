"""How far behind forwarding is: of each task how many jobs are due and not sent, and since when the oldest is due.

Jobs that a worker is sending count as not sent. The jobs are read once, whatever the number of tasks.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import BigInteger, Double
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.quoting import TEXT, TEXTS, statement

__all__ = ["forward_lag"]

_REGISTERED = """select distinct forwarded
  from __schema__._private_sqla_workers w,
    pg_catalog.jsonb_array_elements_text(
      case when pg_catalog.jsonb_typeof(w.metadata operator(pg_catalog.->) 'forwarded') = 'array'
      then w.metadata operator(pg_catalog.->) 'forwarded' else '[]' end
    ) as forwarded"""


@lru_cache
def forward_lag(schema: str, *, registered: bool = False) -> TextualSelect:
    """Select task, waiting, failed and seconds of the ``tasks``; with ``registered`` of those that workers forward.

    ``failed``: those that have failed for good. ``seconds``: since when the oldest of the waiting is due, or null.
    """
    wanted = _REGISTERED if registered else "select distinct pg_catalog.unnest(:tasks) as forwarded"
    parameters = {} if registered else {"tasks": TEXTS}
    return statement(
        f"""with wanted as (
  {wanted}
), counted as (
  select
    j.task_id,
    pg_catalog.count(*) filter (where j.locked_at is not null or j.attempts < j.max_attempts) as waiting,
    pg_catalog.count(*) filter (where j.locked_at is null and j.attempts >= j.max_attempts) as failed,
    pg_catalog.min(j.run_at) filter (where j.locked_at is not null or j.attempts < j.max_attempts) as oldest
  from __schema__._private_jobs j
  where (j.run_at <= pg_catalog.now() or j.attempts >= j.max_attempts)
    and j.task_id in (
      select t.id from __schema__._private_tasks t join wanted w on w.forwarded = t.identifier
    )
  group by j.task_id
)
select
  w.forwarded as task, coalesce(c.waiting, 0) as waiting, coalesce(c.failed, 0) as failed,
  cast(extract(epoch from pg_catalog.now() - c.oldest) as double precision) as seconds
from wanted w
left join __schema__._private_tasks t on t.identifier = w.forwarded
left join counted c on c.task_id = t.id
order by w.forwarded""",
        schema,
        **parameters,
    ).columns(task=TEXT, waiting=BigInteger, failed=BigInteger, seconds=Double)
