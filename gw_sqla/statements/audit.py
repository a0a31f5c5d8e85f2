"""The lines of the audit (`gw_sqla.admin.audit`)."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import BigInteger, Integer, Interval, Text
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.quoting import TEXT, TIMESTAMP, statement

__all__ = ["read", "write"]


@lru_cache
def write(schema: str) -> TextualSelect:
    """Add a line; delete some of those that were written longer ago than ``kept``."""
    return statement(
        """with old as (
  delete from __schema__._private_sqla_audit a
  where a.id = any (array(select o.id from __schema__._private_sqla_audit o order by o.id limit 1000))
    and a.at < pg_catalog.now() - :kept
)
insert into __schema__._private_sqla_audit as a (actor, action, detail, subject, jobs, left_out)
values (:actor, :action, :detail, :subject, :jobs, :left_out)
returning a.id""",
        schema,
        kept=Interval,
        actor=TEXT,
        action=TEXT,
        detail=TEXT,
        subject=TEXT,
        jobs=Integer,
        left_out=Integer,
    ).columns(id=BigInteger)


@lru_cache
def read(schema: str, *, backwards: bool = False) -> TextualSelect:
    """Select ``limit`` lines, newest first: those before the id ``place``, if it is not null.

    ``backwards``: the nearest behind it, oldest first.
    """
    is_before, order = (">", "asc") if backwards else ("<", "desc")
    return statement(
        f"""select a.id, a.at, a.actor, a.action, a.detail, a.subject, a.jobs, a.left_out
from __schema__._private_sqla_audit a
where a.id {is_before} coalesce(:place, cast(9223372036854775807 as bigint))
order by a.id {order}
limit :limit""",
        schema,
        place=BigInteger,
        limit=Integer,
    ).columns(
        id=BigInteger,
        at=TIMESTAMP,
        actor=Text,
        action=Text,
        detail=Text,
        subject=Text,
        jobs=Integer,
        left_out=Integer,
    )
