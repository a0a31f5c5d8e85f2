"""Channels: how an observer is told. One for its sync methods, a thread; one for its async methods, a task.

Both call one method after another, in the order of the events, and log what a method raises. At the end of
the worker an observer has some seconds for what waits; then it is left alone. The thread is a daemon: one that never
returns does not keep the program from ending.
"""

from __future__ import annotations

import inspect
import logging
import queue
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from gw_sqla.error_texts.error_text import traceback_text
from gw_sqla.error_texts.repetition import Repetition
from gw_sqla.hooks.backlog import Backlog

__all__ = ["LoopChannel", "ThreadChannel"]

log = logging.getLogger(__name__)

_CLOSING_SECONDS = 5.0
_TURN = 0.002
"""Seconds for which async methods that never wait are called without a turn for the others in the event loop."""


class ThreadChannel:
    """Calls sync methods in a thread of its own."""

    def __init__(self, name: str) -> None:
        self._backlog = Backlog(name)
        self._queue: queue.SimpleQueue[tuple[Callable[[Any], object], Any] | None] = queue.SimpleQueue()
        self._errors = _Errors(name)
        self._closed_at = 0.0
        self._thread = threading.Thread(target=self._run, name=f"gw_sqla observer {name}", daemon=True)

    def put(self, method: Callable[[Any], object], event: Any) -> None:
        """Let the method be told, if there is room."""
        if self._backlog.put(event):
            self._queue.put((method, event))

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Let the thread end when all is told."""
        self._closed_at = monotonic()
        self._queue.put(None)

    async def wait_until_ended(self) -> None:
        """Wait for the end of the thread, until some seconds after `close`."""
        patience = max(0.0, self._closed_at + _CLOSING_SECONDS - monotonic())
        await anyio.to_thread.run_sync(self._thread.join, patience, limiter=anyio.CapacityLimiter(1))
        if self._thread.is_alive():
            _say_left(self._backlog)
        self._backlog.say_dropped()

    def _run(self) -> None:
        while (told := self._queue.get()) is not None:
            method, event = told
            try:
                result = method(event)
                if inspect.isawaitable(result):
                    _refuse(result)
            except BaseException as error:  # whatever an observer raises is the observer's own fault
                self._errors.say(error)
            self._backlog.take(event)
        self._errors.say_left_out()


class LoopChannel:
    """Awaits async methods in a task of its own."""

    def __init__(self, name: str) -> None:
        self._backlog = Backlog(name)
        self._waiting: deque[tuple[Callable[[Any], Awaitable[object]], Any]] = deque()
        self._wake = anyio.Event()
        self._scope = anyio.CancelScope(shield=True)
        self._errors = _Errors(name)
        self._closed = False

    def put(self, method: Callable[[Any], Awaitable[object]], event: Any) -> None:
        """Let the method be told, if there is room."""
        if self._backlog.put(event):
            if not self._waiting:
                self._wake.set()
            self._waiting.append((method, event))

    def close(self) -> None:
        """Let `run` end when all is told, or after some seconds."""
        self._closed = True
        self._scope.deadline = anyio.current_time() + _CLOSING_SECONDS
        self._wake.set()

    async def run(self) -> None:
        """Tell until closed. Shielded: only `close` ends it, so that the last events are told too."""
        with self._scope:
            turn_began = monotonic()
            while True:
                while self._waiting:
                    method, event = self._waiting.popleft()
                    await self._guarded(method, event)
                    self._backlog.take(event)
                    if monotonic() - turn_began > _TURN:
                        await self._guarded(_checkpoint, None)
                        turn_began = monotonic()
                if self._closed:
                    break
                self._wake = anyio.Event()
                await self._guarded(_wait, self._wake)
                turn_began = monotonic()
        if self._scope.cancelled_caught:
            _say_left(self._backlog)
        self._errors.say_left_out()
        self._backlog.say_dropped()

    async def _guarded(self, method: Callable[[Any], Awaitable[object]], event: Any) -> None:
        """Await; what it raises is logged, but not the end of `close` and the user's Ctrl-C."""
        try:
            await method(event)
        except anyio.get_cancelled_exc_class() as error:
            if anyio.current_effective_deadline() == -float("inf"):
                raise
            self._errors.say(error)  # it has cancelled its own task
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever an observer raises is the observer's own fault
            self._errors.say(error)


async def _checkpoint(_event: object) -> None:
    await anyio.lowlevel.checkpoint()


async def _wait(wake: anyio.Event) -> None:
    await wake.wait()


def _refuse(awaitable: Awaitable[object]) -> None:
    if inspect.iscoroutine(awaitable):
        awaitable.close()
    raise TypeError("a method that is no async function has returned an awaitable: make it async def")


class _Errors:
    """Logs what an observer raises; not for each of a thousand events."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._repetition = Repetition()

    def say(self, error: BaseException) -> None:
        if self._repetition.is_span_over:
            self.say_left_out()
        if self._repetition.may_be_said(f"errors of observer {self._name}"):
            log.error("observer %s failed:\n%s", self._name, traceback_text(error))

    def say_left_out(self) -> None:
        for line in self._repetition.begin_span():
            log.error("%s", line)


def _say_left(backlog: Backlog) -> None:
    log.warning(
        "observer %s did not end within %g s: it was not told of %d events",
        backlog.name,
        _CLOSING_SECONDS,
        backlog.waiting,
    )
