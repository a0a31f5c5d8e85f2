"""Cleanup: lets a worker clean up now and then, one of all that do, without a leader.

A row in the database says when it was done last. Each worker asks for it when its interval is over, with jitter; the
first gets it and cleans, the others find that it was done. One that dies meanwhile has done a part of it, and the next
goes on after an interval.

A transaction that used a task or a queue just as it was removed may commit a little later. So whoever has removed some
looks again in the following minutes, and brings back what is needed; later, the next cleanup does.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Collection
from datetime import timedelta

import anyio

from gw_sqla.admin.cleaning import Cleaning
from gw_sqla.database.outage import DATABASE_FAULTS, Outage, Told

__all__ = ["Cleanup"]

log = logging.getLogger(__name__)

_LOOKS = (1.0, 9.0, 50.0)
"""Seconds between looks for what is needed after all."""


class Cleanup:
    """Cleans in the background of a worker pool; ``on_restored`` is called when jobs may be due again."""

    def __init__(
        self,
        cleaning: Cleaning,
        *,
        interval: timedelta,
        failed_after: timedelta | None,
        keep_tasks: Collection[str],
        on_restored: Callable[[], None],
        told: Told | None = None,
    ) -> None:
        self._cleaning = cleaning
        self._interval = interval
        self._failed_after = failed_after
        self._keep_tasks = keep_tasks
        self._on_restored = on_restored
        self._outage = Outage("the cleanup", told)

    async def run(self) -> None:
        """Clean until cancelled; what fails is tried again after a while."""
        seconds = self._interval.total_seconds()
        while True:
            await anyio.sleep(seconds * random.uniform(0.5, 1) / 2)  # noqa: S311 - not a secret
            try:
                if await self._cleaning.take_turn(self._interval):
                    await self._clean()
                self._outage.over()
            except DATABASE_FAULTS as fault:  # a TimeoutError too
                await self._outage.wait(fault)
            finally:
                await self._cleaning.close()

    async def _clean(self) -> None:
        cleaned = await self._cleaning.clean(
            tasks=True, queues=True, failed_after=self._failed_after, keep_tasks=self._keep_tasks
        )
        if cleaned:
            log.info("cleanup: %s", cleaned)
        self._say_restored(cleaned.restored)
        if cleaned.tasks or cleaned.queues:
            await self._look_again()

    async def _look_again(self) -> None:
        for seconds in _LOOKS:
            await self._cleaning.close()
            await anyio.sleep(seconds)
            self._say_restored(await self._cleaning.restore())

    def _say_restored(self, restored: int) -> None:
        if restored:
            log.info("cleanup: %d tasks and queues are back, as jobs of theirs were just being added", restored)
            self._on_restored()
