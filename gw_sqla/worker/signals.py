"""Signals: the first asks for a graceful stop, the second ends the grace period, a third ends the process.

The third is for handlers that ignore their cancellation: recovery then unlocks what they had. It does what it did
before the worker heeded signals, which for the first process of a container is nothing: there the process ends itself.
"""

from __future__ import annotations

import logging
import os
import signal
from datetime import timedelta

import anyio
from anyio.abc import TaskStatus

from gw_sqla.worker.stop_request import StopRequest

__all__ = ["STOP_SIGNALS", "end_at_the_next", "heed_signals"]

log = logging.getLogger(__name__)

STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM] + [
    getattr(signal, name) for name in ("SIGHUP", "SIGUSR2") if hasattr(signal, name)
]


async def heed_signals(stop: StopRequest, grace_period: timedelta, *, task_status: TaskStatus[None]) -> None:
    """Ask for what signals mean until cancelled, or until the second; then they mean again what they meant before."""
    with anyio.open_signal_receiver(*STOP_SIGNALS) as received:
        task_status.started()
        async for number in received:
            if stop.requested.is_set():
                log.warning("%s again; a third ends the process", number.name)
                stop.request(at_once=True)
                break
            log.info("%s: stopping, running jobs have %s", number.name, grace_period)
            stop.request()
    end_at_the_next()


def end_at_the_next() -> None:
    """As the first process of a container: end at the next signal, which the kernel would ignore."""
    if os.getpid() == 1:
        for number in STOP_SIGNALS:
            signal.signal(number, lambda received, _frame: os._exit(128 + received))
