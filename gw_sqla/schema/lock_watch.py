"""Whom a migration waits for: looked up over a second connection, and said, as PostgreSQL itself waits in silence.

A migration waits for another migrator (the advisory lock, which anybody may hold who may connect), and for transactions
that have used the tables that it changes. A quick one is over before the first look, and opens no second connection.
That is none of the pool's, which may have no other than the migration's.

The pids are everybody's to know. Roles and applications are not, where somebody has revoked that; and a transaction
that was prepared has no session at all. Then what is known is said; where nothing is, that.
"""

from __future__ import annotations

import logging
from typing import Any

import anyio
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.database.outage import DATABASE_FAULTS
from gw_sqla.database.own_pool import with_own_pool
from gw_sqla.error_texts.error_text import error_text

__all__ = ["LockWatch"]

log = logging.getLogger(__name__)

_SECONDS = 0.5
"""Between two looks; less where the migration gives up sooner."""

_CLOSE_SECONDS = 2

_HOLDERS = sa.text("""
    select distinct holder.pid, a.usename as role, a.application_name
    from pg_catalog.unnest(pg_catalog.pg_blocking_pids(:pid)) as holder (pid)
    left join pg_catalog.pg_stat_activity as a on a.pid operator(pg_catalog.=) holder.pid
    order by holder.pid
""")
_PIDS = sa.text("""
    select distinct pid, null as role, null as application_name
    from pg_catalog.unnest(pg_catalog.pg_blocking_pids(:pid)) as holder (pid)
    order by pid
""")
_FORBIDDEN = "42501"
_OF_PREPARED = 0
"""PostgreSQL's pid for a prepared transaction."""


class LockWatch:
    """Looks who blocks the migration's backend, while it runs."""

    def __init__(self, engine: AsyncEngine, schema: str, longest: float | None) -> None:
        self._engine = with_own_pool(engine, isolation_level="AUTOCOMMIT")
        self._schema = schema
        self._pause = _SECONDS if longest is None else min(_SECONDS, longest / 3)
        self._query = _HOLDERS
        self._is_blind = False
        self.backend: int | None = None
        """The pid of the backend that may be blocked, once it is known."""
        self.holders = ""
        """Who blocked it when it was last looked at."""

    async def run(self) -> None:
        """Look until cancelled, and log it when the migration is blocked, and by whom, each time that this changes."""
        try:
            while True:
                await anyio.sleep(self._pause)
                if self.backend is not None:
                    await self._look()
        finally:
            with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
                await call_asyncio(self._engine.dispose)

    async def _look(self) -> None:
        try:
            holders = await call_asyncio(self._read)
        except DATABASE_FAULTS as fault:  # the migration meets it too, or does not need to
            level = logging.DEBUG if self._is_blind else logging.WARNING
            self._is_blind = True
            log.log(
                level,
                "schema %r: the migration takes long; whether it waits, and for whom, cannot be seen: %s",
                self._schema,
                error_text(fault),
            )
            return
        if holders and holders != self.holders:
            log.warning("schema %r: the migration waits for what %s holds", self._schema, holders)
        self.holders = holders or self.holders

    async def _read(self) -> str:
        async with self._engine.connect() as connection:
            try:
                rows = (await connection.execute(self._query, {"pid": self.backend})).all()
            except DBAPIError as refusal:
                if getattr(refusal.orig, "sqlstate", None) != _FORBIDDEN or self._query is _PIDS:
                    raise
                self._query = _PIDS
                rows = (await connection.execute(self._query, {"pid": self.backend})).all()
        return ", ".join(map(_named, rows))


def _named(holder: sa.Row[Any]) -> str:
    if holder.pid == _OF_PREPARED:
        return "a prepared transaction (see pg_prepared_xacts)"
    if holder.role is None:
        return f"pid {holder.pid}"
    return f"pid {holder.pid} (role {holder.role!r}, application {holder.application_name!r})"
