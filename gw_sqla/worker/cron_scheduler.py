"""CronScheduler: adds the jobs of cron items at their minutes, until it is cancelled.

Every worker with a crontab has one; which of them adds a job is decided in the database, so none of
them leads. It keeps one thing, the first minute that is not done yet, and goes from there:

    make items known -> backfill up to that minute -> wait for the next due minute -> add its jobs -> ...

- A fault of the database: wait with backoff, then start at the top. The minute that failed is still the
  first that is not done, so it is made up for even by items without a fill (Graphile Worker leaves it out).
- Late, after a pause of the process, the machine or the database: minute by minute until it has caught up.
- A job is refused, by a trigger of the user's: its item waits, the others go on (`gw_sqla.worker.cron_adder`).
- Later than ``catch_up``: say so and go on from now, at the top; how far an item then goes back is its ``fill``.
- The clock was put back: say so and go on from now, at the top. What was added before is not added again, as
  ``last_execution`` only moves forward.
- Woken early: look at the clock and sleep again.

What is due when is found in a thread: for thousands of items that takes seconds, at the start and after each fault.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import anyio
import anyio.to_thread

from gw_sqla.crontab import CronItem, agenda, backfill, minute_from
from gw_sqla.crontab.clock import Clock
from gw_sqla.crontab.due_minutes import Due
from gw_sqla.crontab.known_crontabs import KnownCrontabs
from gw_sqla.database.outage import DATABASE_FAULTS, Outage
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.hooks.events import CronTick
from gw_sqla.hooks.observers import NOBODY, Observers
from gw_sqla.worker.cron_adder import RETRY_SECONDS, CronAdder

__all__ = ["CronScheduler"]

log = logging.getLogger(__name__)

_MINUTE = timedelta(minutes=1)


class CronScheduler:
    """Schedules ``items``, whose identifiers are unique; ``catch_up`` bounds how late a minute may be added."""

    def __init__(
        self,
        known: KnownCrontabs,
        items: Sequence[CronItem],
        clock: Clock,
        catch_up: timedelta,
        observers: Observers = NOBODY,
    ) -> None:
        self._known = known
        self._items = items
        self._clock = clock
        self._adder = CronAdder(known, catch_up, observers)
        self._catch_up = catch_up
        self._outage = Outage("scheduling the crontab", observers)
        self._observers = observers
        self._thread = anyio.CapacityLimiter(1)
        self._start_from(clock.now())

    async def run(self) -> None:
        """Schedule until cancelled, whatever the database does. A cancellation closes the connection."""
        try:
            while True:
                try:
                    await self._backfill()
                    await self._follow()
                except DATABASE_FAULTS as fault:  # a TimeoutError too
                    await self._outage.wait(fault)
        finally:
            with anyio.move_on_after(5, shield=True):
                await self._rest()

    def _start_from(self, now: datetime) -> None:
        self._seen = now
        self._next = minute_from(now)

    async def _backfill(self) -> None:
        """Make the items known, and make up for what those that were known have missed."""
        now = self._clock.now()
        known = await self._known.make_known([item.identifier for item in self._items], now)
        added = 0
        missed = backfill(self._items, known, now, self._next)
        while due := await self._next_of(missed):
            minute, items = due
            added += len(await self._adder.add(minute, items, backfilled=True))
        if added:
            log.info("crontab: %d missed jobs were added by backfill", added)

    async def _follow(self) -> None:
        """Add the jobs of each due minute, in order; return when the way there must begin anew."""
        dues = agenda(self._items, self._next)
        while due := await self._next_of(dues):
            minute, items = due
            if not await self._is_due(minute):
                return
            late = (self._clock.now() - minute).total_seconds()
            self._observers.tell(CronTick(minute=minute, items=len(items), late_seconds=late))
            added = await self._adder.add(minute, items, backfilled=False)
            log.debug("crontab: jobs of %s added for %s", ", ".join(added) or "no item", minute)
            self._next = minute + _MINUTE
        while self._adder.has_refused:
            await self._pause(_MINUTE)
        await self._relax()
        await anyio.sleep_forever()  # no item fires ever again

    async def _next_of(self, dues: Iterator[Due]) -> Due | None:
        return await anyio.to_thread.run_sync(next, dues, None, abandon_on_cancel=True, limiter=self._thread)

    async def _is_due(self, minute: datetime) -> bool:
        """Wait until the minute has come; False, with a new start, if the clock has jumped too far for that."""
        while (now := self._clock.now()) < minute:
            if now < self._seen - _MINUTE:
                log.warning("the clock was put back by %s: the crontab goes on from %s", self._seen - now, now)
                self._start_from(now)
                return False
            self._seen = now
            await self._pause(min(minute - now, _MINUTE))
        self._seen = now
        if now - minute > self._catch_up:
            log.warning(
                "the crontab is %s late: it goes on from %s, and what was due since %s is left to each item's fill",
                now - minute, now, minute,
            )  # fmt: skip
            self._start_from(now)
            return False
        if now - minute >= _MINUTE:
            log.info("the crontab is %s late: the jobs of %s are added now", now - minute, minute)
        return True

    async def _pause(self, longest: timedelta) -> None:
        """Let time pass; items that were refused are tried again."""
        if self._adder.has_refused:
            await self._adder.retry(self._clock.now())
            longest = min(longest, timedelta(seconds=RETRY_SECONDS))
        await self._relax()
        await self._clock.sleep(longest)

    async def _relax(self) -> None:
        """All that was due is done, so an outage is over, and the connection is not needed for a while."""
        self._outage.over()
        await self._rest()

    async def _rest(self) -> None:
        try:
            await self._known.disconnect()
        except DATABASE_FAULTS as fault:
            log.debug("closing the crontab's connection: %s", error_text(fault))
