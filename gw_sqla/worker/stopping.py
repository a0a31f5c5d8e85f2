"""The order in which a worker pool works and ends.

Three nested scopes: *intake* (listener, claimer, cron, recovery) inside *working* (slots) inside *draining*
(finisher, heartbeat). A stop ends intake first; jobs that were claimed and not started are returned with their
attempt. The slots then have the grace period, as a deadline on the working scope; jobs that still
run are cancelled and failed, their attempt spent, as when Graphile Worker is stopped by force. Last,
the finisher writes what is left, shielded, with a deadline.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup

from gw_sqla.settings import RunnerSettings
from gw_sqla.worker.composition import Parts
from gw_sqla.worker.finisher import Finisher
from gw_sqla.worker.heartbeat import Heartbeat
from gw_sqla.worker.signals import heed_signals
from gw_sqla.worker.stop import Stop

__all__ = ["work_until_stopped"]

log = logging.getLogger(__name__)


async def work_until_stopped(
    parts: Parts, stop: Stop, settings: RunnerSettings, take_in: Callable[[], Awaitable[None]], *, with_signals: bool
) -> None:
    """Run the slots and the finisher while ``take_in`` brings jobs in; then let them end, in order.

    A cancellation cancels the running jobs at once; their outcomes, and the returned jobs, are written all the same.
    """
    slots, finisher = parts.slots, parts.finisher
    async with anyio.create_task_group() as draining:
        draining.start_soon(_drain, finisher, parts.heartbeat, name="gw_sqla finisher")
        try:
            async with anyio.create_task_group() as working:
                slots.start(working)
                async with anyio.create_task_group() as watching:
                    watching.start_soon(_cancel_jobs_when_asked, stop, working, name="gw_sqla grace period")
                    if with_signals:
                        await watching.start(heed_signals, stop, settings.grace_period, name="gw_sqla signals")
                    await take_in()
                    slots.close()
                    working.cancel_scope.deadline = anyio.current_time() + settings.grace_period.total_seconds()
                    await slots.ended.wait()
                    watching.cancel_scope.cancel()
        finally:
            slots.close()
            finisher.close(settings.flush_timeout.total_seconds())


async def _drain(finisher: Finisher, heartbeat: Heartbeat) -> None:
    """Write outcomes, and beat for as long as there are any."""
    async with anyio.create_task_group() as beating:
        beating.start_soon(heartbeat.run, name="gw_sqla heartbeat")
        await finisher.run()
        beating.cancel_scope.cancel()


async def _cancel_jobs_when_asked(stop: Stop, working: TaskGroup) -> None:
    await stop.grace_is_over.wait()
    log.warning("running jobs are cancelled now")
    working.cancel_scope.cancel()
