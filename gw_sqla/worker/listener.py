"""Listener: a connection of its own that turns notifications into wake-ups.

A lost connection is replaced with backoff; every new one wakes the claimer and calls ``look`` once, for what was
missed before it listened. Polling goes on meanwhile, so the listener only ever makes things faster. A
notification is a hint: any payload of ``jobs:insert`` but a count of zero or less wakes the claimer
(contract, section 3); so is the news of a breaking migration, which calls ``look``, too. A look that finds no
connection left (SQLSTATE 53300) is made later: giving up this one would leave the worker deaf, and try without end.

The listener proves itself. A connection can look alive and hear nothing: the network dropped it
silently, or a pooler in transaction mode gave the LISTEN to somebody else. So at first and then every
half minute, the listener notifies itself, on a channel of its own; unheard, the connection is replaced.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta

import anyio
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.event_loops import call_asyncio, driver_callback
from gw_sqla.database.outage import DATABASE_FAULTS, Outage, has_no_connection_left
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.hooks.events import ListenerLost, ListenerUp
from gw_sqla.hooks.observers import NOBODY, Observers
from gw_sqla.statements.pauses import PAUSES_CHANNEL

__all__ = ["Listener", "breaks_us", "job_count"]

log = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 5.0
"""How long after a look that found no connection left the next is made."""


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
    """Listens on ``jobs:insert``, ``worker:migrate`` and for pauses; calls back in the event loop that runs it."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        look: Callable[[], Awaitable[None]],
        on_jobs: Callable[[], None],
        on_pauses: Callable[[], None],
        known_migration: int,
        probe_interval: timedelta = timedelta(seconds=30),
        probe_timeout: timedelta = timedelta(seconds=10),
        observers: Observers = NOBODY,
    ) -> None:
        self._connection = WorkerConnection(engine, settings="")
        self._look = look
        self._on_jobs = on_jobs
        self._on_pauses = on_pauses
        self._known_migration = known_migration
        self._probe_interval = probe_interval.total_seconds()
        self._probe_timeout = probe_timeout.total_seconds()
        self._own_channel = f"sqla:{secrets.token_hex(9)}"
        self._heard = anyio.Event()
        self._woken = anyio.Event()
        self._is_to_look = False
        self._observers = observers

    async def run(self) -> None:
        """Listen until cancelled; a cancellation closes the connection."""
        outage = Outage("listening for new jobs", self._observers)
        while True:
            try:
                await self._listen(outage)
            except DATABASE_FAULTS as fault:
                if outage.faults == 0:
                    self._observers.tell(ListenerLost(reason=error_text(fault)))
                await outage.wait(fault)

    async def _listen(self, outage: Outage) -> None:
        lost = anyio.Event()

        def on_lost() -> None:
            lost.set()
            self._woken.set()

        self._is_to_look = True
        try:
            await call_asyncio(self._open, driver_callback(on_lost), driver_callback(self._notified))
            await self._prove()
            self._on_pauses()  # what was said before it listened, as about jobs
            self._on_jobs()
            self._observers.tell(ListenerUp(faults=outage.faults))
            outage.over()
            while not lost.is_set():
                self._woken = anyio.Event()
                if self._is_to_look:
                    await self._try_to_look()
                seconds = min(self._probe_interval, _LOOK_AGAIN_SECONDS) if self._is_to_look else self._probe_interval
                with anyio.move_on_after(seconds) as interval:
                    await self._woken.wait()
                if interval.cancelled_caught:
                    await self._prove()
        finally:
            await self._connection.close()
        raise ConnectionResetError("the connection was closed by the server or the network")

    async def _try_to_look(self) -> None:
        self._is_to_look = False
        try:
            await self._look()
        except DATABASE_FAULTS as fault:
            if not has_no_connection_left(fault):
                raise
            log.debug("looking at the schema: %s", error_text(fault))
            self._is_to_look = True

    async def _open(self, on_lost: Callable[[], object], on_notified: Callable[[str, str], object]) -> None:
        driver = await self._connection.driver()
        driver.add_termination_listener(lambda _: on_lost())
        for channel in ("jobs:insert", "worker:migrate", PAUSES_CHANNEL, self._own_channel):
            await driver.add_listener(channel, lambda _connection, _pid, *notice: on_notified(*notice))

    async def _prove(self) -> None:
        self._heard = anyio.Event()
        with anyio.move_on_after(self._probe_timeout):
            await call_asyncio(self._notify_itself)
            await self._heard.wait()
            return
        raise ConnectionError(
            "a notification to itself did not arrive (a pooler in transaction mode? then use transaction_pooler)"
        )

    async def _notify_itself(self) -> None:
        driver = await self._connection.driver()
        await driver.execute(f'notify "{self._own_channel}"')
        await driver.execute('LISTEN "worker:migrate"')  # once more, for people: pg_stat_activity shows the last one

    def _notified(self, channel: str, payload: str) -> None:
        if channel == self._own_channel:
            self._heard.set()
        elif channel == PAUSES_CHANNEL:
            self._on_pauses()
        elif channel == "jobs:insert":
            if job_count(payload) > 0:
                self._on_jobs()
        elif breaks_us(payload, self._known_migration):
            self._is_to_look = True
            self._woken.set()
