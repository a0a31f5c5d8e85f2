"""A call of a trio task to the loop in the driver's thread (`trio_loop_thread`): its task, its outcome."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from trio.lowlevel import current_task

from gw_sqla.errors import LoopError

__all__ = ["Call"]


class Call:
    """One call: made and awaited by a trio task, run by a task of the loop."""

    __slots__ = ("_error", "_function", "_result", "_task", "begun", "is_told_to_cancel", "waiter")

    def __init__(self, function: Callable[[], Awaitable[Any]], begun: threading.Lock | None = None) -> None:
        self.waiter = current_task()
        self.begun = begun
        self.is_told_to_cancel = False
        self._function = function
        self._task: asyncio.Task[None] | None = None
        self._result: Any = None
        self._error: BaseException | None = LoopError("the asyncio loop of the database driver ended during a call")

    def start(self, done: Callable[[Call], None]) -> None:
        """In the driver's thread: run the function in a task of its own, in a copy of the context of this call."""

        def task_done(task: asyncio.Task[None]) -> None:
            if task.cancelled():  # before its first step
                self._error = asyncio.CancelledError()
            done(self)

        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(task_done)
        if self.begun is not None:
            asyncio.get_running_loop().call_soon(self.begun.release)  # when the task has made its first step

    def cancel(self) -> None:
        """In the driver's thread."""
        assert self._task is not None
        self._task.cancel()

    async def _run(self) -> None:
        try:
            self._result = await self._function()
            self._error = None
        except BaseException as error:  # SystemExit too is the caller's, and would end the loop
            self._error = error

    @property
    def was_cancelled(self) -> bool:
        """Whether it has ended by asyncio's cancellation."""
        return isinstance(self._error, asyncio.CancelledError)

    @property
    def has_returned(self) -> bool:
        """Whether it has ended without an exception."""
        return self._error is None

    def outcome(self) -> Any:
        """Return the result, or raise the exception."""
        if self._error is not None:
            raise self._error
        return self._result

    def forget(self) -> None:
        """Let go of the outcome: an exception's traceback has this call in it."""
        self._result = self._error = None
