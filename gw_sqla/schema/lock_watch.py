"""Whom a migration waits for: looked up over a second connection, and said, as PostgreSQL itself waits in silence.

A migration waits for another migrator (the advisory lock, which anybody may hold who may connect), and for transactions
that have used the tables that it changes. A quick one is over before the first look, and opens no second connection.
"""

from __future__ import annotations

import logging

import anyio
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.error_texts.error_text import error_text

__all__ = ["LockWatch"]

log = logging.getLogger(__name__)

_SECONDS = 0.5
"""Between two looks; less where the migration gives up sooner."""

_HOLDERS = sa.text("""
    select pid, usename as role, application_name
    from pg_catalog.pg_stat_activity
    where pid operator(pg_catalog.=) any (pg_catalog.pg_blocking_pids(:pid))
    order by pid
""")


class LockWatch:
    """Looks who blocks the migration's backend, while it runs."""

    def __init__(self, engine: AsyncEngine, schema: str, longest: float | None) -> None:
        self._engine = engine
        self._schema = schema
        self._pause = _SECONDS if longest is None else min(_SECONDS, longest / 3)
        self.backend: int | None = None
        """The pid of the backend that may be blocked, once it is known."""
        self.holders = ""
        """Who blocked it when it was last looked at."""

    async def run(self) -> None:
        """Look until cancelled, and log it when the migration is blocked, and by whom, each time that this changes."""
        while True:
            await anyio.sleep(self._pause)
            if self.backend is None:
                continue
            try:
                holders = await call_asyncio(self._look)
            except (SQLAlchemyError, OSError) as fault:  # the migration meets it too, or does not need to
                log.debug("schema %r: looking whom the migration waits for: %s", self._schema, error_text(fault))
                continue
            if holders and holders != self.holders:
                log.warning("schema %r: the migration waits for what %s holds", self._schema, holders)
            self.holders = holders or self.holders

    async def _look(self) -> str:
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_HOLDERS, {"pid": self.backend})).all()
        return ", ".join(f"pid {row.pid} (role {row.role!r}, application {row.application_name!r})" for row in rows)
