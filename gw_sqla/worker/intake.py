"""Intake: what brings jobs into a worker pool, until a stop is asked for; or, once, until nothing is ready."""

from __future__ import annotations

import logging

import anyio
from anyio.abc import TaskGroup, TaskStatus

from gw_sqla.worker.composition import Parts
from gw_sqla.worker.stop_request import StopRequest

__all__ = ["take_in", "take_in_once"]

log = logging.getLogger(__name__)


async def take_in(parts: Parts, stop: StopRequest, task_status: TaskStatus[None]) -> None:
    """Bring jobs in until a stop is asked for; ``task_status`` hears of the start."""
    async with anyio.create_task_group() as intake:
        intake.start_soon(parts.slots.return_stale, name="gw_sqla prefetch")
        if parts.kept_jobs is not None:
            intake.start_soon(parts.kept_jobs.run, name="gw_sqla kept jobs")
        intake.start_soon(parts.listener.run, name="gw_sqla listener")
        for claimer in parts.claimers:
            intake.start_soon(claimer.run, name="gw_sqla claimer")
            intake.start_soon(claimer.cut_off_late_claim, name="gw_sqla end of claims")
        intake.start_soon(parts.recovery.run, name="gw_sqla recovery")
        if parts.cron is not None:
            intake.start_soon(parts.cron.run, name="gw_sqla cron")
        if parts.cleanup is not None:
            intake.start_soon(parts.cleanup.run, name="gw_sqla cleanup")
        task_status.started()
        await stop.requested.wait()
        intake.cancel_scope.cancel()


async def take_in_once(parts: Parts, stop: StopRequest) -> None:
    """Bring jobs in until nothing is ready and nothing is running or unwritten, or until a stop is asked for."""
    async with anyio.create_task_group() as intake:
        intake.start_soon(parts.slots.return_stale, name="gw_sqla prefetch")
        if parts.kept_jobs is not None:
            intake.start_soon(parts.kept_jobs.run, name="gw_sqla kept jobs")
        intake.start_soon(_cancel_when_asked, stop, intake, name="gw_sqla stop")
        for claimer in parts.claimers:
            intake.start_soon(claimer.cut_off_late_claim, name="gw_sqla end of claims")
        await parts.recovery.sweep()
        intake.start_soon(parts.recovery.run, name="gw_sqla recovery")
        await _drain(parts)
        intake.cancel_scope.cancel()
    if not stop.requested.is_set():
        await parts.recovery.say_what_is_left()
    stop.request()


async def _drain(parts: Parts) -> None:
    """Claim until nobody finds anything: the jobs of one may add jobs of another."""
    is_more = True
    while is_more:
        is_more = False
        for claimer in parts.claimers:
            is_more |= await claimer.drain()
        is_more &= len(parts.claimers) > 1


async def _cancel_when_asked(stop: StopRequest, intake: TaskGroup) -> None:
    await stop.requested.wait()
    intake.cancel_scope.cancel()
