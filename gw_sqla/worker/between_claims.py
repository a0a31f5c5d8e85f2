"""Statements between claims: what a worker says seldom goes over the connection of its claims, so that it has few.

An idle worker holds two connections: that of its claims and the listener's. A beat, every 15 seconds, waits for its
turn between two claims, and not for long: where a claim takes its time, it goes over a connection of its own, which is
closed when it is answered. A beat must not wait for a claim that a broken network never answers, nor for a pool.

Outcomes have a connection of their own while there are any (`OwnFirst`); it is closed after a while without. Where
PostgreSQL has none left (SQLSTATE 53300), they go between claims: what has run is written whoever took the connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.database.outage import DATABASE_FAULTS, has_no_connection_left
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.worker.claim_store import ClaimStore

__all__ = ["BetweenClaims", "OwnFirst"]

_PATIENCE = 1.0
"""Seconds for which a statement waits for its turn, before it has a connection opened."""


class BetweenClaims(WorkerConnection):
    """Runs statements over the claims' connection, or, when that is busy, over its own, which is closed again."""

    def __init__(self, claims: ClaimStore, engine: AsyncEngine, settings: str, *, pooled: bool) -> None:
        super().__init__(engine, settings, pooled=pooled)
        self._claims = claims

    async def fetch(self, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        """Run one statement and return its rows, as a `WorkerConnection` does."""
        turn, has_turn = self._claims.turn, False
        with anyio.move_on_after(_PATIENCE):
            await turn.acquire()
            has_turn = True
        if has_turn:
            try:
                return await self._claims.fetch(statement, parameters)
            finally:
                turn.release()
        try:
            return await super().fetch(statement, parameters)
        finally:
            await self.close()


class OwnFirst(WorkerConnection):
    """A connection whose statements go over the claims' one while none can be had."""

    def __init__(self, claims: ClaimStore, engine: AsyncEngine, settings: str, *, pooled: bool) -> None:
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
            return await self._claims.fetch(statement, parameters)
