"""Pauses: rows of ``_private_sqla_pauses``, and the news of them on a channel of our own.

A pause is over when its row is gone or its time has come, by the database's clock. Workers hear of a change by its
notification, whose payload is the schema, and look anyway now and then: a notification is a hint.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Boolean, Double
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.quoting import FIRST_DAY, LAST_DAY, TEXT, TIMESTAMP, statement

__all__ = ["PAUSES_CHANNEL", "find_pauses", "pause", "resume"]

PAUSES_CHANNEL = "sqla:pauses"

_TIMES = f"""least(greatest(p.paused_at, {FIRST_DAY}), {LAST_DAY}) as paused_at,
  case when p.paused_until < {LAST_DAY} then greatest(p.paused_until, {FIRST_DAY}) end as paused_until"""
"""As Python datetimes can hold them: somebody may have written others by hand."""


@lru_cache
def find_pauses(schema: str) -> TextualSelect:
    """Select what is paused now; ``seconds_left`` is null where somebody must end it."""
    return statement(
        f"""select
  p.kind, p.name, {_TIMES}, p.reason, p.paused_by,
  cast(extract(epoch from least(p.paused_until, {LAST_DAY}) - pg_catalog.now()) as double precision) as seconds_left
from __schema__._private_sqla_pauses p
where p.paused_until is null or p.paused_until > pg_catalog.now()
order by p.kind, p.name""",
        schema,
    ).columns(
        kind=TEXT,
        name=TEXT,
        paused_at=TIMESTAMP,
        paused_until=TIMESTAMP,
        reason=TEXT,
        paused_by=TEXT,
        seconds_left=Double,
    )


@lru_cache
def pause(schema: str) -> TextualSelect:
    """Pause ``name`` of ``kind``, or change its pause; tell workers at the commit. Takes out what is over."""
    return statement(
        f"""with over as (
  delete from __schema__._private_sqla_pauses p
  where p.paused_until <= pg_catalog.now() and not (p.kind = :kind and p.name = :name)
), p as (
  insert into __schema__._private_sqla_pauses as p (kind, name, paused_until, reason, paused_by)
  values (:kind, :name, :paused_until, :reason, :paused_by)
  on conflict (kind, name) do update
  set paused_at = pg_catalog.now(), paused_until = excluded.paused_until, reason = excluded.reason,
      paused_by = excluded.paused_by
  returning p.*
)
select
  p.kind, p.name, {_TIMES}, p.reason, p.paused_by,
  pg_catalog.pg_notify('{PAUSES_CHANNEL}', :schema_name) is not null as told
from p""",
        schema,
        kind=TEXT,
        name=TEXT,
        paused_until=TIMESTAMP,
        reason=TEXT,
        paused_by=TEXT,
        schema_name=TEXT,
    ).columns(
        kind=TEXT, name=TEXT, paused_at=TIMESTAMP, paused_until=TIMESTAMP, reason=TEXT, paused_by=TEXT, told=Boolean
    )


@lru_cache
def resume(schema: str) -> TextualSelect:
    """End the pause of ``name`` of ``kind``, or, where that is null, every pause; tell workers at the commit.

    One row for each that was not over by itself.
    """
    return statement(
        f"""with p as (
  delete from __schema__._private_sqla_pauses p
  where :kind is null or p.kind = :kind and p.name = :name
  returning p.*
)
select
  p.kind, p.name, {_TIMES}, p.reason, p.paused_by,
  pg_catalog.pg_notify('{PAUSES_CHANNEL}', :schema_name) is not null as told
from p
where p.paused_until is null or p.paused_until > pg_catalog.now()
order by p.kind, p.name""",
        schema,
        kind=TEXT,
        name=TEXT,
        schema_name=TEXT,
    ).columns(
        kind=TEXT, name=TEXT, paused_at=TIMESTAMP, paused_until=TIMESTAMP, reason=TEXT, paused_by=TEXT, told=Boolean
    )
