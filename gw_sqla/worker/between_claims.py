"""Statements between claims: what a worker says seldom goes over the connection of its claims, so that it has few.

An idle worker holds two connections: that of its claims and the listener's. A beat, every 15 seconds, waits for its
turn between two claims, and not for long: where a claim takes its time, it goes over a connection of its own, which is
closed when it is answered. A beat must not wait for a claim that a broken network never answers, nor for a pool.

Outcomes have a connection of their own while there are any (`OwnFirst`); it is closed after a while without. Where
PostgreSQL has none left (SQLSTATE 53300), they go between claims: what has run is written whoever took the connections.
So do the sweeps that free the locks of the dead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import anyio
import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.database.outage import DATABASE_FAULTS, has_no_connection_left
from gw_sqla.database.worker_connection import WorkerConnection

__all__ = ["BetweenClaims", "ClaimConnection", "OwnFirst"]

_PATIENCE = 1.0
"""Seconds for which a statement waits for its turn, before it has a connection opened."""
_BRIEFLY = "set local lock_timeout = '200ms'"
"""How long it may wait there for rows that others have locked."""


class ClaimConnection(NamedTuple):
    """The connection of a pool's claims, and the turn that whoever uses it waits for."""

    connection: WorkerConnection
    turn: anyio.Lock


class BetweenClaims(WorkerConnection):
    """Runs statements over the claims' connection, or, when that is busy, over its own, which is closed again."""

    def __init__(self, claims: ClaimConnection, engine: AsyncEngine, settings: str, *, pooled: bool) -> None:
        super().__init__(engine, settings, pooled=pooled)
        self._claims = claims

    async def fetch(self, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        """Run one statement and return its rows, as a `WorkerConnection` does."""
        has_turn = False
        with anyio.move_on_after(_PATIENCE):
            await self._claims.turn.acquire()
            has_turn = True
        if has_turn:
            try:
                return await self._claims.connection.fetch_under(_BRIEFLY, statement, parameters)
            except asyncpg.LockNotAvailableError:
                pass  # whoever has locked what it wants does not hold up claims
            finally:
                self._claims.turn.release()
        try:
            return await super().fetch(statement, parameters)
        finally:
            await self.close()


class OwnFirst(WorkerConnection):
    """A connection whose statements go over the claims' one while none can be had."""

    def __init__(self, claims: ClaimConnection, engine: AsyncEngine, settings: str, *, pooled: bool) -> None:
        super().__init__(engine, settings, pooled=pooled)
        self._claims = claims

    async def fetch(self, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        """Run one statement and return its rows, as a `WorkerConnection` does."""
        try:
            return await super().fetch(statement, parameters)
        except DATABASE_FAULTS as fault:
            if not has_no_connection_left(fault):
                raise
        async with self._claims.turn:
            return await self._claims.connection.fetch_under(_BRIEFLY, statement, parameters)
