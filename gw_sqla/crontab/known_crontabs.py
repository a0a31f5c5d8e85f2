"""KnownCrontabs: what the database knows of cron items, over an engine.

A connection of its own (`gw_sqla.database.worker_connection`), so that cron never holds up claims or outcomes, and not
for longer than a burst of statements: hours may lie between two, and a network forgets a silent connection.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import anyio.to_thread
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.crontab import CronItem
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.statements import crontab

__all__ = ["KnownCrontab", "KnownCrontabs"]


@dataclass(frozen=True, slots=True)
class KnownCrontab:
    """A cron item that some worker has made known; its last execution is the minute of its latest job."""

    identifier: str
    known_since: datetime
    last_execution: datetime | None


class KnownCrontabs:
    """Each method is one statement in autocommit, and raises `gw_sqla.database.outage.DATABASE_FAULTS`.

    A cancellation cancels the statement. ``pooled``: a pooler in transaction mode may be between us and PostgreSQL.
    """

    def __init__(self, engine: AsyncEngine, schema: str, *, pooled: bool = False) -> None:
        self._connection = WorkerConnection(engine, pooled=pooled)
        self._schema = schema

    async def all(self) -> list[KnownCrontab]:
        """Return all known crontabs, by identifier."""
        return [KnownCrontab(*row) for row in await self._connection.fetch(crontab.known_crontabs(self._schema), {})]

    async def make_known(self, identifiers: Collection[str], now: datetime) -> dict[str, datetime]:
        """Make identifiers known since now; return the last execution, or else known since, of those that were."""
        parameters = {"identifiers": list(identifiers), "now": now}
        rows = await self._connection.fetch(crontab.make_known(self._schema), parameters)
        return {row[0]: row[1] for row in rows}

    async def schedule(self, minute: datetime, items: Sequence[CronItem], *, backfilled: bool) -> list[str]:
        """Add the items' jobs for a minute; return the identifiers of those that no other worker had added."""
        text = await anyio.to_thread.run_sync(_jobs_text, items, minute, backfilled)  # there may be thousands
        parameters = {"items": text, "tick": minute}
        return [row[0] for row in await self._connection.fetch(crontab.schedule(self._schema), parameters)]

    async def raise_if_none_can_be_added(self, minute: datetime) -> None:
        """Raise what scheduling any item's job would raise now; adds nothing."""
        await self._connection.fetch(crontab.add_nothing(self._schema), {})
        await self.schedule(minute, [], backfilled=False)

    async def disconnect(self) -> None:
        """Close the connection until the next statement; raises what closing raises."""
        await self._connection.disconnect()


def _jobs_text(items: Sequence[CronItem], minute: datetime, backfilled: bool) -> str:
    return json.dumps([_job(item, minute, backfilled) for item in items])


def _job(item: CronItem, minute: datetime, backfilled: bool) -> dict[str, Any]:
    return {
        "identifier": item.identifier,
        "task": item.task,
        "payload": item.job_payload(minute, backfilled=backfilled),
        "queue_name": item.queue_name,
        "max_attempts": item.max_attempts,
        "job_key": item.job_key,
        "priority": item.priority,
        "flags": None if item.flags is None else list(item.flags),
        "job_key_mode": item.job_key_mode,
    }
