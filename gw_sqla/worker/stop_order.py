"""The order in which a worker pool works and ends.

Three nested scopes: *intake* (listener, claimer, cron, recovery) inside *working* (slots, forwarders) inside *draining*
(finisher, heartbeat). A stop ends intake first; jobs that were claimed and not started are returned with their
attempt. The slots have the grace period, from the request on; jobs that still
run then are cancelled and failed, their attempt spent, as when Graphile Worker is stopped by force; what is being
forwarded is given back. Last,
the finisher writes what is left, shielded, with a deadline.

Each step is bounded whatever the network does: a claim in flight, the clean-up of a handler's session, the closing
of a connection have some seconds, before the connection is cut off. What a stop waits for, it says.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

import anyio
from anyio.abc import TaskGroup

from gw_sqla.jobs.run import Run
from gw_sqla.settings import RunnerSettings
from gw_sqla.worker.composition import Parts
from gw_sqla.worker.signals import heed_signals
from gw_sqla.worker.stop_request import StopRequest

__all__ = ["work_until_stopped"]

log = logging.getLogger(__name__)

_SAY_AGAIN_SECONDS = 5.0


async def work_until_stopped(
    parts: Parts,
    stop: StopRequest,
    settings: RunnerSettings,
    take_in: Callable[[], Awaitable[None]],
    *,
    with_signals: bool,
    on_stopping: Callable[[int], None] = lambda _running: None,
) -> None:
    """Run the slots and the finisher while ``take_in`` brings jobs in; then let them end, in order.

    ``on_stopping`` is called when a stop was asked for, with the number of jobs that run.
    A cancellation cancels the running jobs at once; their outcomes, and the returned jobs, are written all the same.
    """
    slots, forwarders, finisher = parts.slots, parts.forwarders, parts.finisher
    async with anyio.create_task_group() as draining:
        draining.start_soon(_drain, parts, name="gw_sqla finisher")
        try:
            async with anyio.create_task_group() as working:
                slots.start(working)
                forwarders.start(working)
                async with anyio.create_task_group() as watching:
                    watching.start_soon(
                        _give_grace, stop, working, settings, parts, on_stopping, name="gw_sqla grace period"
                    )
                    if with_signals:
                        await watching.start(heed_signals, stop, settings.grace_period, name="gw_sqla signals")
                    await take_in()
                    slots.close()
                    forwarders.close()
                    await slots.ended.wait()
                    await forwarders.wait_until_ended()
                    watching.cancel_scope.cancel()
        finally:
            slots.close()
            forwarders.close()
            if parts.held is not None:
                await parts.held.close(settings.flush_timeout.total_seconds())
            finisher.close(settings.flush_timeout.total_seconds())


async def _drain(parts: Parts) -> None:
    """Write outcomes, and beat for as long as there are any."""
    async with anyio.create_task_group() as beating:
        beating.start_soon(parts.heartbeat.run, name="gw_sqla heartbeat")
        beating.start_soon(parts.finisher.rest_when_idle, name="gw_sqla rest")
        if parts.held is not None:
            beating.start_soon(parts.held.run, name="gw_sqla held claims")
        await parts.finisher.run()
        beating.cancel_scope.cancel()


async def _give_grace(
    stop: StopRequest,
    working: TaskGroup,
    settings: RunnerSettings,
    parts: Parts,
    on_stopping: Callable[[int], None],
) -> None:
    """Cancel the running jobs when a stop was asked for and its grace period is over; say what the stop waits for."""
    await stop.requested.wait()
    on_stopping(len(_running(parts)))
    if running := _running(parts):
        log.info("the worker stops; it waits for %s, up to %s", _names(running), settings.grace_period)
    else:
        log.info("the worker stops")
    with anyio.move_on_after(settings.grace_period.total_seconds()):
        await stop.grace_is_over.wait()
    if running := _running(parts):
        log.warning("running jobs are cancelled now: %s", _names(running))
    working.cancel_scope.cancel()
    with anyio.CancelScope(shield=True):
        while not (parts.slots.ended.is_set() and parts.forwarders.have_ended):
            with anyio.move_on_after(_SAY_AGAIN_SECONDS) as patience:
                await parts.slots.ended.wait()
                await parts.forwarders.wait_until_ended()
            if patience.cancelled_caught:
                log.warning("the stop waits for handlers that were cancelled: %s", _names(_running(parts)))


def _running(parts: Parts) -> list[Run]:
    return [*parts.slots.running(), *parts.forwarders.running()]


def _names(runs: Sequence[Run]) -> str:
    return ", ".join(f"job {run.job.id} ({run.job.task_identifier})" for run in runs[:20])
