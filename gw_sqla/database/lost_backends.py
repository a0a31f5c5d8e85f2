"""A session's own backend, and the end of those whose sessions are lost: they may be at work on what was asked.

A session that has taken on a role (SET ROLE) does not see when its own backend began, nor may it end one: it can only
wait until nobody has that process id any more.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Boolean, DateTime, Integer, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.selectable import TextualSelect

__all__ = ["end_backends", "own_backend"]

_TIMESTAMP = DateTime(timezone=True)


@lru_cache
def own_backend() -> TextualSelect:
    """Select the process id of the session's backend and when it began, null where that is not to be seen.

    A pid alone may be another's later.
    """
    return text(
        "select a.pid, a.backend_start from pg_catalog.pg_stat_activity a where a.pid = pg_catalog.pg_backend_pid()"
    ).columns(pid=Integer, backend_start=_TIMESTAMP)


@lru_cache
def end_backends() -> TextualSelect:
    """Tell each of these backends to end; one row for each that is still there, which another look may not find.

    ``told`` is null for one that may be another's: when it began is not to be seen.
    """
    statement = text(
        """select case when a.backend_start is not null then pg_catalog.pg_terminate_backend(a.pid) end as told
from rows from (pg_catalog.unnest(:pids), pg_catalog.unnest(:starts)) as lost (pid, backend_start)
join pg_catalog.pg_stat_activity a on a.pid = lost.pid and a.backend_start is not distinct from lost.backend_start"""
    )
    return statement.bindparams(
        bindparam("pids", type_=ARRAY(Integer)), bindparam("starts", type_=ARRAY(_TIMESTAMP))
    ).columns(told=Boolean)
