"""Supervisor: keeps a number of worker processes running, to use more than one core.

Each worker process is the same command line once more, with a lifeline (`gw_sqla.cli.supervisor_link`). It runs in a
session of its own, out of reach of the terminal's Ctrl-C: stopping goes through the supervisor.

    a worker process ends                          the supervisor
    while it should run, whatever the exit code    starts another, after a pause that grows while they end soon
    by an error that all would meet                stops the others and ends with that error and its exit code
      (application, schema, rights, migration)
    with --once                                    adds up the counts; an error of one is its own in the end
    after a stop was asked for                     waits for the others; an error of one is its own in the end

Rejected: forking a process that has loaded the application (its threads and connections do not survive a fork),
and multiprocessing (one more process, for resources that nobody shares, and no word upwards but an exit code).
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
from anyio.abc import Process, TaskStatus

from gw_sqla.cli.error_report import WorkerProcessError
from gw_sqla.cli.supervised_http import ProcessSockets
from gw_sqla.cli.supervisor_link import VARIABLE
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.worker.signals import STOP_SIGNALS
from gw_sqla.worker.worker_pool import RunCounts

__all__ = ["supervise"]

log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_SOON = 60.0
"""Seconds. A process that ran for longer is replaced after the first pause again."""

_LONGEST_WORD = 64 * 1024


@dataclass(frozen=True, slots=True)
class _End:
    """How a worker process ended: its exit code (negative: the signal that killed it) and its last word."""

    pid: int
    code: int
    word: dict[str, Any]

    @property
    def was_idle(self) -> bool:
        """Whether a stop signal killed it: only possible before it claims jobs, and after all is written."""
        return -self.code in STOP_SIGNALS

    @property
    def text(self) -> str:
        if self.code < 0:
            return f"worker process {self.pid} was killed by signal {-self.code} ({signal.strsignal(-self.code)})"
        return str(self.word.get("error") or f"worker process {self.pid} ended with exit code {self.code}")


async def supervise(
    arguments: Sequence[str], count: int, *, once: bool, http: str | None = None
) -> tuple[RunCounts, WorkerProcessError | None]:
    """Run ``count`` processes of ``python -m gw_sqla`` with ``arguments``, until a signal, or each once.

    ``http``: the address at which to answer for all of them.

    A second signal ends the workers' grace period. Returns what ``--once`` adds up, and the error that the command has
    to end with. A cancellation kills the workers.
    """
    with nullcontext() if http is None else ProcessSockets.opened(count) as sockets:
        supervisor = _Supervisor(arguments, count, sockets, once=once)
        async with anyio.create_task_group() as watching:
            watching.start_soon(supervisor.watch_signals, name="gw_sqla signals")
            if http is not None and sockets is not None:
                await watching.start(partial(_answer, http, sockets), name="gw_sqla HTTP")
            await supervisor.run()
            watching.cancel_scope.cancel()
    return supervisor.counts, supervisor.error


async def _answer(http: str, sockets: ProcessSockets, *, task_status: TaskStatus[int]) -> None:
    from gw_sqla.telemetry.addresses import Address
    from gw_sqla.telemetry.http_server import serve_patiently

    await serve_patiently(Address.parse(http), sockets.routes(), ready=task_status)


class _Supervisor:
    def __init__(self, arguments: Sequence[str], count: int, sockets: ProcessSockets | None, *, once: bool) -> None:
        self._sockets = sockets
        self._command = [sys.executable, "-m", "gw_sqla", *arguments]
        self._count = count
        self._once = once
        self._stopping = anyio.Event()
        self._lifelines: set[socket.socket] = set()
        self._fault: _End | None = None
        self.counts = RunCounts(0, 0)

    @property
    def error(self) -> WorkerProcessError | None:
        """What went wrong for good."""
        fault = self._fault
        return None if fault is None else WorkerProcessError(fault.text, max(1, fault.code))

    async def run(self) -> None:
        log.info("supervisor of %d worker processes", self._count)
        async with anyio.create_task_group() as keeping:
            for number in range(self._count):
                keeping.start_soon(self._keep, number, name=f"gw_sqla process {number}")

    async def watch_signals(self) -> None:
        with anyio.open_signal_receiver(*STOP_SIGNALS) as received:
            async for number in received:
                is_again = self._stopping.is_set()
                level = logging.WARNING if is_again else logging.INFO
                again = " again" if is_again else ""
                log.log(level, "%s%s: passed on to %d worker processes", number.name, again, len(self._lifelines))
                self._order_stop()

    def _order_stop(self) -> None:
        self._stopping.set()
        for end in self._lifelines:
            _order(end)

    async def _keep(self, number: int) -> None:
        """Run one process after the other until a stop, or once."""
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            began = anyio.current_time()
            if self._sockets is None:
                end = await self._run_process({})
            else:
                with self._sockets.of(number) as variables:
                    end = await self._run_process(variables)
            self._judge(end)
            if self._once or self._stopping.is_set():
                return
            pause = _FIRST_PAUSE if anyio.current_time() - began > _SOON else pause
            log.warning("%s; another starts in %g s", end.text, pause)
            with anyio.move_on_after(pause):
                await self._stopping.wait()
            pause = min(_LONGEST_PAUSE, 2 * pause)

    def _judge(self, end: _End) -> None:
        """Take in what the end of a process means for the whole."""
        word = end.word
        self.counts += RunCounts(
            word.get("completed", 0), word.get("failed", 0), word.get("failed_tasks", {}), word.get("snoozed", 0)
        )
        if end.word.get("permanent") and not self._stopping.is_set():
            self._fault = end
            self._order_stop()
        elif not (end.code == 0 or end.was_idle) and (self._once or self._stopping.is_set()):
            self._fault = self._fault or end

    async def _run_process(self, variables: Mapping[str, str]) -> _End:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._lifelines.add(ours)
        try:
            with theirs:
                process = await self._start_process(theirs.fileno(), variables)
            code = await process.wait()
            return _End(process.pid, code, _last_word(ours))
        except OSError as error:
            return _End(0, 1, {"error": f"a worker process could not be started: {error_text(error)}"})
        finally:
            self._lifelines.discard(ours)
            ours.close()

    async def _start_process(self, lifeline: int, variables: Mapping[str, str]) -> Process:
        return await anyio.open_process(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=None,
            stderr=None,
            env={**os.environ, **variables, VARIABLE: str(lifeline)},
            pass_fds=[lifeline],
            start_new_session=True,
        )


def _order(end: socket.socket) -> None:
    with suppress(OSError):  # it has just ended by itself
        end.send(b".")


def _last_word(end: socket.socket) -> dict[str, Any]:
    text = b""
    with suppress(OSError):  # it said nothing, and left an order unread or its end to a process of its own
        text = end.recv(_LONGEST_WORD)
    word: dict[str, Any] = json.loads(text) if text else {}
    return word
