"""Channels: how an observer is told. One for its sync methods, a thread; one for its async methods, a task.

Both call one method after another, in the order of the events, and log what a method raises. They are given events in
batches, all that one write of outcomes is about: to hand over each by itself costs more than to tell it. At the end of
the worker an observer has some seconds for what waits; then it is left alone. The thread is a daemon: one that never
returns does not keep the program from ending. A task in which an observer has left a cancel scope or a task group open
cannot go on, and would take the worker with it: what waits goes on in a new one, as in `gw_sqla.worker.slot`.
"""

from __future__ import annotations

import inspect
import logging
import queue
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from time import monotonic
from typing import Any, TypeAlias

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


_Method: TypeAlias = Callable[[Any], Awaitable[object]]


class ThreadChannel:
    """Calls sync methods in a thread of its own."""

    def __init__(self, name: str) -> None:
        self._backlog = Backlog(name)
        self._queue: queue.SimpleQueue[tuple[Callable[[Any], object], Sequence[Any]] | None] = queue.SimpleQueue()
        self._errors = _Errors(name)
        self._closed_at = 0.0
        self._thread = threading.Thread(target=self._run, name=f"gw_sqla observer {name}", daemon=True)

    def put(self, method: Callable[[Any], object], events: Sequence[Any]) -> None:
        """Let the method be told of events of one type, as far as there is room."""
        if admitted := self._backlog.put(events):
            self._queue.put((method, admitted))

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
            method, events = told
            for event in events:
                try:
                    result = method(event)
                    if result is not None and inspect.isawaitable(result):
                        _refuse(result)
                except BaseException as error:  # whatever an observer raises is the observer's own fault
                    self._errors.say(error)
                self._backlog.told += 1
            self._backlog.take(events)
        self._errors.say_left_out()


class LoopChannel:
    """Awaits async methods in a task of its own."""

    def __init__(self, name: str) -> None:
        self._backlog = Backlog(name)
        self._waiting: deque[tuple[_Method, Sequence[Any], Iterator[Any]]] = deque()  # the last: those yet to be told
        self._wake = anyio.Event()
        self._scope = anyio.CancelScope(shield=True)
        self._errors = _Errors(name)
        self._closed = self._is_done = False

    def put(self, method: _Method, events: Sequence[Any]) -> None:
        """Let the method be told of events of one type, as far as there is room."""
        if admitted := self._backlog.put(events):
            if not self._waiting:
                self._wake.set()
            self._waiting.append((method, admitted, iter(admitted)))

    def close(self) -> None:
        """Let `run` end when all is told, or after some seconds."""
        self._closed = True
        self._scope.deadline = anyio.current_time() + _CLOSING_SECONDS
        self._wake.set()

    async def run(self) -> None:
        """Tell until closed. Shielded: only `close` ends it, so that the last events are told too."""
        with self._scope:
            while not self._is_done:
                await self._run_in_new_task()
        if self._scope.cancelled_caught:
            _say_left(self._backlog)
        self._errors.say_left_out()
        self._backlog.say_dropped()

    async def _run_in_new_task(self) -> None:
        """Tell until closed, or until the task cannot go on."""
        try:
            async with anyio.create_task_group() as task:
                task.start_soon(self._tell, name="gw_sqla observer")
        except BaseException as error:  # of the event loop, about what an observer has left open
            if self._scope.cancel_called or _has_interrupt(error):
                raise
        if not self._is_done:
            self._errors.say_spoiled()

    async def _tell(self) -> None:
        turn_began = monotonic()
        while True:
            while self._waiting:
                method, events, left = self._waiting[0]
                for event in left:
                    try:
                        await method(event)
                    except BaseException as error:
                        if not self._is_own_fault(error):
                            self._backlog.told += not self._scope.cancel_called
                            raise
                        self._errors.say(error)
                    self._backlog.told += 1
                    if monotonic() - turn_began > _TURN:
                        await self._without_own_faults(_checkpoint, None)
                        turn_began = monotonic()
                self._waiting.popleft()
                self._backlog.take(events)
            if self._closed:
                self._is_done = True
                return
            self._wake = anyio.Event()
            await self._without_own_faults(_wait, self._wake)
            turn_began = monotonic()

    async def _without_own_faults(self, method: _Method, argument: Any) -> None:
        try:
            await method(argument)
        except BaseException as error:  # a cancellation of its own task that an observer has asked for before
            if not self._is_own_fault(error):
                raise
            self._errors.say(error)

    def _is_own_fault(self, error: BaseException) -> bool:
        """Whether it is the observer's, to be logged; and not the end of `close`, a scope's, or the user's Ctrl-C."""
        if isinstance(error, anyio.get_cancelled_exc_class()):
            return anyio.current_effective_deadline() != -float("inf")
        return not isinstance(error, KeyboardInterrupt)


async def _checkpoint(_event: object) -> None:
    await anyio.lowlevel.checkpoint()


async def _wait(wake: anyio.Event) -> None:
    await wake.wait()


def _has_interrupt(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(map(_has_interrupt, error.exceptions))
    return isinstance(error, KeyboardInterrupt)


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

    def say_spoiled(self) -> None:
        if self._repetition.may_be_said(f"scopes that observer {self._name} has left open"):
            log.error("observer %s has left a task group or cancel scope open; it goes on in a new task", self._name)

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
