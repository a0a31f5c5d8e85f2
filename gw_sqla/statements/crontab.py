"""Known crontabs: what the database remembers of cron items, and adding their jobs.

The table decides which of all workers, of Node.js and Rust too, adds the job of an item for a minute:
the one whose write moves ``last_execution`` forward to it (contract, section 6).
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import BigInteger, Integer
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.quoting import FIRST_DAY, LAST_DAY, TEXT, TEXTS, TIMESTAMP, statement

__all__ = ["add_nothing", "known_crontabs", "known_page", "make_known", "schedule"]


_KNOWN = f"""select identifier,
  least(greatest(known_since, {FIRST_DAY}), {LAST_DAY}) as known_since,
  case when last_execution is not null
    then least(greatest(last_execution, {FIRST_DAY}), {LAST_DAY})
  end as last_execution
from __schema__._private_known_crontabs"""


@lru_cache
def known_crontabs(schema: str) -> TextualSelect:
    """Read all that are known, by identifier."""
    return statement(f"{_KNOWN}\norder by identifier", schema).columns(
        identifier=TEXT, known_since=TIMESTAMP, last_execution=TIMESTAMP
    )


@lru_cache
def known_page(schema: str, *, backwards: bool = False) -> TextualSelect:
    """Read ``limit`` of those that are known behind the identifier ``place``, in the order of their characters.

    ``backwards``: the nearest before it, in that order.
    """
    name = 'identifier collate pg_catalog."C"'
    is_behind, order = ("<", "desc") if backwards else (">", "asc")
    return statement(
        f"{_KNOWN}\nwhere {name} {is_behind} :place\norder by {name} {order}\nlimit :limit",
        schema,
        place=TEXT,
        limit=Integer,
    ).columns(identifier=TEXT, known_since=TIMESTAMP, last_execution=TIMESTAMP)


@lru_cache
def make_known(schema: str) -> TextualSelect:
    """Insert those of ``identifiers`` that are not there, known since ``now``; return those that were.

    ``since`` is the last execution, or else since when it has been known.
    """
    return statement(
        f"""with added as (
  insert into __schema__._private_known_crontabs (identifier, known_since)
  select i, :now from pg_catalog.unnest(:identifiers) as i
  where not exists (select from __schema__._private_known_crontabs k where k.identifier = i)
  order by i
  on conflict (identifier) do nothing
)
select identifier, least(greatest(coalesce(last_execution, known_since), {FIRST_DAY}), {LAST_DAY}) as since
from __schema__._private_known_crontabs
where identifier = any (:identifiers)""",
        schema,
        identifiers=TEXTS,
        now=TIMESTAMP,
    ).columns(identifier=TEXT, since=TIMESTAMP)


@lru_cache
def schedule(schema: str) -> TextualSelect:
    """Add the jobs of ``items`` for the minute ``tick`` that no worker has added yet; return whose.

    ``items`` is a JSON array of objects: ``identifier`` of the item, and the arguments of add_job. Rows are
    written in its order, as by Graphile Worker, so that workers with the same crontab cannot deadlock. Where
    Graphile Worker's add_job leaves a job out (its key's job was claimed meanwhile) the statement fails as a
    whole, with a text that says so: the minute is then not taken, and can be tried again.
    """
    return statement(
        """with due as (
  select * from rows from (pg_catalog.json_to_recordset(cast(:items as pg_catalog.json)) as (
    identifier pg_catalog.text, task pg_catalog.text, payload pg_catalog.json, queue_name pg_catalog.text,
    max_attempts int, job_key pg_catalog.text, priority int, flags pg_catalog.text[], job_key_mode pg_catalog.text
  )) with ordinality as due (
    identifier, task, payload, queue_name, max_attempts, job_key, priority, flags, job_key_mode, position
  )
), won as (
  insert into __schema__._private_known_crontabs as known (identifier, known_since, last_execution)
  select identifier, :tick, :tick from due order by position
  on conflict (identifier) do update set last_execution = excluded.last_execution
  where known.last_execution is null or known.last_execution < excluded.last_execution
  returning known.identifier
)
select d.identifier, cast(
  coalesce(cast(j.id as pg_catalog.text), 'add_job left the job of ' || d.identifier || ' out') as bigint
) as job_id
from (select due.* from due join won on won.identifier = due.identifier order by due.position) d
cross join lateral __schema__.add_job(
  d.task, d.payload, d.queue_name, :tick, d.max_attempts, d.job_key, d.priority, d.flags, d.job_key_mode
) j""",
        schema,
        items=TEXT,
        tick=TIMESTAMP,
    ).columns(identifier=TEXT, job_id=BigInteger)


@lru_cache
def add_nothing(schema: str) -> TextualSelect:
    """Fail where no job could be added now, whatever job: for want of a table, a right, or room."""
    return statement(
        """with tasks as (
  insert into __schema__._private_tasks (identifier) select '' where false
), queues as (
  insert into __schema__._private_job_queues (queue_name) select '' where false
), jobs as (
  insert into __schema__._private_jobs (task_id, payload) select 0, '{}' where false
)
select""",
        schema,
    ).columns()
