"""CronAdder: adds the jobs of cron items for a minute; an item whose job is refused holds up no other.

A trigger or a constraint of the user's can refuse a job. The items of that minute are then added one by one, and the
one that is refused is tried again every few seconds, its minutes in their order, for as long as ``catch_up`` allows.
Where no job of any item could be added, the fault is not an item's: it is raised.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from gw_sqla.crontab import CronItem
from gw_sqla.crontab.known_crontabs import KnownCrontabs
from gw_sqla.database.outage import is_answer
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.hooks.events import CronJobsScheduled
from gw_sqla.hooks.observers import NOBODY, Observers

__all__ = ["RETRY_SECONDS", "CronAdder"]

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0


class CronAdder:
    """All methods raise `gw_sqla.database.outage.DATABASE_FAULTS`; a cancellation cancels the statement."""

    def __init__(self, known: KnownCrontabs, catch_up: timedelta, observers: Observers = NOBODY) -> None:
        self._known = known
        self._observers = observers
        self._catch_up = catch_up
        self._refused: dict[str, list[tuple[datetime, CronItem, bool]]] = {}

    @property
    def has_refused(self) -> bool:
        """Whether there are any to try again."""
        return bool(self._refused)

    async def add(self, minute: datetime, items: Sequence[CronItem], *, backfilled: bool) -> list[str]:
        """Add the jobs for a minute; return the identifiers of the items for which no other worker had."""
        free = items
        if self._refused:
            free = [item for item in items if item.identifier not in self._refused]
            for item in items:
                if item.identifier in self._refused:
                    self._refused[item.identifier].append((minute, item, backfilled))
        try:
            return await self._schedule(minute, free, backfilled=backfilled) if free else []
        except asyncpg.PostgresError as refusal:
            if not is_answer(refusal):
                raise
            await self._known.raise_if_none_can_be_added(minute)
            if len(free) == 1:
                self._refuse(minute, free[0], backfilled, refusal)
                return []
        return [name for item in free for name in await self.add(minute, [item], backfilled=backfilled)]

    async def retry(self, now: datetime) -> None:
        """Try those again that were refused; those that are too late are dropped, as after an outage."""
        for waiting in list(self._refused.values()):
            while waiting:
                minute, item, backfilled = waiting[0]
                if now - minute > self._catch_up:
                    log.error("cron item %s: the job of %s was refused until it was too late", item.identifier, minute)
                else:
                    try:
                        await self._schedule(minute, [item], backfilled=backfilled)
                    except asyncpg.PostgresError as refusal:
                        if not is_answer(refusal):
                            raise
                        await self._known.raise_if_none_can_be_added(minute)
                        log.debug("cron item %s is refused still: %s", item.identifier, error_text(refusal))
                        break
                del waiting[0]
            if not waiting:
                self._refused = {name: others for name, others in self._refused.items() if others}

    async def _schedule(self, minute: datetime, items: Sequence[CronItem], *, backfilled: bool) -> list[str]:
        won = await self._known.schedule(minute, items, backfilled=backfilled)
        if won:
            self._observers.tell(CronJobsScheduled(minute=minute, identifiers=tuple(won), backfilled=backfilled))
        return won

    def _refuse(self, minute: datetime, item: CronItem, backfilled: bool, refusal: asyncpg.PostgresError) -> None:
        log.error(
            "cron item %s: its job of %s is refused, and is tried again: %s",
            item.identifier,
            minute,
            error_text(refusal),
        )
        self._refused[item.identifier] = [(minute, item, backfilled)]
