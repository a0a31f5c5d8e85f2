"""Lifeline: the socket that ties a worker process to its supervisor (`gw_sqla.cli.supervisor`).

Downwards it carries orders, one byte each: the first says stop, the second ends the grace period. When the
supervisor dies, however it dies, the kernel closes its end, and that says stop too: no worker outlives it.
Upwards it carries one JSON object at most, the worker's last word: its counts, or what ended it.

Why not signals: a service manager may send SIGTERM to every process of a service (systemd does), and a supervisor
that passed it on would give each worker its second signal, which is the one that cancels jobs. So here a signal
never cancels; a stop that is asked for twice, by signal and by order, is one stop.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Self

import anyio

from gw_sqla.cli.error_report import describe, is_permanent, one_line, show_traceback
from gw_sqla.runner import Runner
from gw_sqla.worker.signals import STOP_SIGNALS
from gw_sqla.worker.worker_pool import RunCounts

__all__ = ["VARIABLE", "Lifeline"]

log = logging.getLogger(__name__)

VARIABLE = "GW_SQLA_LIFELINE"
"""The environment variable that tells a worker process the number of its end of the socket."""

_LONGEST_TEXT = 4_000
_MOST_TASKS = 100
"""Characters of an error that are passed on: the message must fit into the socket's buffer."""


class Lifeline:
    """The worker's end."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    @classmethod
    def inherited(cls) -> Self | None:
        """Return this process's lifeline; None where it has no supervisor. To be called once, at the start."""
        number = os.environ.pop(VARIABLE, None)
        if number is None:
            return None
        os.set_inheritable(int(number), False)
        end = socket.socket(fileno=int(number))
        end.setblocking(False)
        return cls(end)

    @contextmanager
    def reporting(self, *, debug: bool) -> Iterator[None]:
        """Tell the supervisor of an error of the block, and exit with its code; with ``debug`` show the traceback."""
        try:
            yield
        except BaseException as error:
            text, code = describe(error)
            if debug:
                show_traceback(error)
            self._say(error=one_line(text)[:_LONGEST_TEXT], permanent=is_permanent(error))
            raise SystemExit(code) from error

    def report(self, counts: RunCounts) -> None:
        """Tell the supervisor what was run."""
        tasks = dict(Counter(counts.failed_tasks).most_common(_MOST_TASKS))
        self._say(completed=counts.completed, failed=counts.failed, failed_tasks=tasks, snoozed=counts.snoozed)

    def _say(self, **word: Any) -> None:
        with suppress(OSError):  # nobody is there to be told
            self._end.sendall(json.dumps(word).encode())

    @asynccontextmanager
    async def obeyed_by(self, runner: Runner) -> AsyncIterator[None]:
        """Carry out orders while the block runs, which begins with ``runner.run()`` or ``run_once()``.

        A signal to this process alone stops it too.
        """
        with anyio.open_signal_receiver(*STOP_SIGNALS) as received:
            async with anyio.create_task_group() as block:
                block.start_soon(self._obey, runner, name="gw_sqla lifeline")
                block.start_soon(_heed, received, runner, name="gw_sqla signals")
                yield
                block.cancel_scope.cancel()

    async def _obey(self, runner: Runner) -> None:
        at_once = False
        while True:
            await anyio.wait_readable(self._end)
            if not self._end.recv(1):
                log.warning("the supervisor is gone: stopping")
                runner.stop()
                return
            log.debug("the supervisor says stop%s", " at once" if at_once else "")
            runner.stop(at_once=at_once)
            at_once = True


async def _heed(received: AsyncIterator[signal.Signals], runner: Runner) -> None:
    async for number in received:
        log.debug("%s: stopping, if that has not begun", number.name)
        runner.stop()
