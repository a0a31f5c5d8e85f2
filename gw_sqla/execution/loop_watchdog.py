"""Watchdog: notices that the event loop stands still, and names the job whose handler holds it.

A task in the event loop beats; a thread looks at the beats. When they fail to come, the thread looks at what the
loop's thread is doing: the frame of `Executor.run` in its stack has the job, the innermost frames have
the place. Nothing is done for a job, so it costs nothing but a few beats a second.

Rejected: the time of each step of a slot, which comes too late for a handler that never returns and costs every job
two clock calls; asyncio's debug mode, which slows everything down and trio has not.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic
from types import FrameType

import anyio

from gw_sqla.execution.executor import Executor
from gw_sqla.jobs.claimed_job import ClaimedJob

__all__ = ["watch_loop"]

log = logging.getLogger(__name__)

_RUN = Executor.run.__code__
_FRAMES_SHOWN = 6


@asynccontextmanager
async def watch_loop(threshold: timedelta | None) -> AsyncIterator[None]:
    """Log what blocks this event loop for longer than the threshold, while the block runs; None does nothing."""
    if threshold is None:
        yield
        return
    watchdog = _Watchdog(threshold.total_seconds(), threading.get_ident())
    async with anyio.create_task_group() as task_group:
        task_group.start_soon(watchdog.beat, name="gw_sqla watchdog")
        watchdog.start()
        try:
            yield
        finally:
            watchdog.stop()
        task_group.cancel_scope.cancel()


class _Watchdog:
    def __init__(self, threshold: float, loop_thread: int) -> None:
        self._threshold = threshold
        self._loop_thread = loop_thread
        self._last_beat = monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="gw_sqla watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end; it is not waited for, as it does nothing any more."""
        self._stopped.set()

    async def beat(self) -> None:
        while True:
            self._last_beat = monotonic()
            await anyio.sleep(self._threshold / 4)

    def _watch(self) -> None:
        blocked: tuple[float, str] | None = None
        while not self._stopped.wait(self._threshold / 4):
            last_beat = self._last_beat
            if blocked is not None and last_beat != blocked[0]:
                log.warning("%s lets the event loop go on after %.1f s", blocked[1], last_beat - blocked[0])
                blocked = None
            if blocked is None and monotonic() - last_beat > self._threshold * 1.25:
                blocked = last_beat, self._report()

    def _report(self) -> str:
        frame = sys._current_frames().get(self._loop_thread)
        job = _job_in(frame)
        who = "something" if job is None else f"job {job.id} ({job.task_identifier}, attempt {job.attempts})"
        stack = "".join(traceback.format_stack(frame)[-_FRAMES_SHOWN:])
        log.warning(
            "%s blocks the event loop, and with it all other jobs, for more than %g s: let it await, make its "
            "handler sync, or run it in a process\n%s",
            who,
            self._threshold,
            stack,
        )
        return who


def _job_in(frame: FrameType | None) -> ClaimedJob | None:
    while frame is not None:
        if frame.f_code is _RUN:
            job = frame.f_locals.get("job")
            return job if isinstance(job, ClaimedJob) else None
        frame = frame.f_back
    return None
