"""Listener: a connection of its own that turns notifications into wake-ups.

A lost connection is replaced with backoff; every new one calls ``on_connected`` once, for what was
missed before it listened. Polling goes on meanwhile, so the listener only ever makes things faster. A
notification is a hint: any payload of ``jobs:insert`` but a count of zero or less wakes the claimer
(contract, section 3).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import anyio
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.driver import call_asyncio
from gw_sqla.line import Line
from gw_sqla.store import DATABASE_FAULTS, Outage, close_line

__all__ = ["Listener", "breaks_us", "job_count"]


def job_count(payload: str) -> int:
    """Return the count in a ``jobs:insert`` payload; 1 where it cannot be read."""
    try:
        count = json.loads(payload)["count"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return 1
    return count if isinstance(count, int) else 1


def breaks_us(payload: str, known_migration: int) -> bool:
    """Tell whether a ``worker:migrate`` payload says that a breaking, unknown migration has begun."""
    try:
        notice = json.loads(payload)
        return notice["breaking"] is True and notice["migrationNumber"] > known_migration
    except (ValueError, TypeError, LookupError, RecursionError):
        return False


class Listener:
    """Listens on ``jobs:insert`` and ``worker:migrate``; calls back in the event loop's thread."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        on_connected: Callable[[], Awaitable[None]],
        on_jobs: Callable[[], None],
        on_breaking_migration: Callable[[], None],
        known_migration: int,
    ) -> None:
        self._line = Line(engine, settings="")
        self._on_connected = on_connected
        self._on_jobs = on_jobs
        self._on_breaking_migration = on_breaking_migration
        self._known_migration = known_migration

    async def run(self) -> None:
        """Listen until cancelled; a cancellation closes the connection."""
        outage = Outage("listening for new jobs")
        while True:
            try:
                await self._listen(outage)
            except DATABASE_FAULTS as fault:
                await outage.wait(fault)

    async def _listen(self, outage: Outage) -> None:
        lost = anyio.Event()
        try:
            await call_asyncio(self._open, lost.set)
            outage.over()
            await self._on_connected()
            await lost.wait()
        finally:
            await close_line(self._line)
        raise ConnectionResetError("the connection was closed by the server or the network")

    async def _open(self, on_lost: Callable[[], None]) -> None:
        driver = await self._line.driver()
        driver.add_termination_listener(lambda _: on_lost())
        await driver.add_listener("jobs:insert", self._jobs_inserted)
        await driver.add_listener("worker:migrate", self._migrated)

    def _jobs_inserted(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if job_count(str(payload)) > 0:
            self._on_jobs()

    def _migrated(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if breaks_us(str(payload), self._known_migration):
            self._on_breaking_migration()
