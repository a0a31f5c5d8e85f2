"""An asyncio loop in a thread of its own, for what a trio program asks of its database driver.

    trio's thread                                       the loop's thread
    call(function)   -- call_soon_threadsafe -->        a task runs the function, in a copy of the caller's context
    (waits)          <-- run_sync_soon ---------        the task is done: its result or exception
    (is cancelled)   -- call_soon_threadsafe -->        the task is cancelled, once; cleans up; is done

Each call is a hand-over: the trio task waits while the loop works for it, so neither thread touches what the other
is working on. A trio run has one loop at most, however many blocks ask for it, in whatever tasks; the last of them
to end closes it. Only public functions of trio and asyncio are used.

Control-C: trio holds KeyboardInterrupt back while this code runs, and gives it to the main task where that waits, as
it gives a cancellation. So no call is forgotten, and no thread is left behind.

Rejected: trio-asyncio, which works on Python 3.11 only, patches asyncio for the whole process, and is slower
(docs/performance.md); trio as a guest of the asyncio loop, in one thread, which was no faster, and which a program
that is on trio already cannot become.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, ParamSpec, TypeVar

import trio
from trio.lowlevel import Abort, RunVar, current_task, current_trio_token, enable_ki_protection, reschedule

from gw_sqla.errors import LoopError

__all__ = ["LoopThread", "current_loop", "open_loop"]

_ENDED = "the asyncio loop of the database driver ended during the call"

P = ParamSpec("P")
R = TypeVar("R")


class LoopThread:
    """One asyncio loop in one thread, for one trio run, in which all methods are called unless they say otherwise."""

    def __init__(self) -> None:
        self.blocks = 0
        """How many blocks use it."""
        self.at_end: set[Callable[[], Awaitable[object]]] = set()
        """What is called, in the loop, before it closes."""
        self._token = current_trio_token()
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        self._stop = asyncio.Event()
        self._calls: set[_Call] = set()
        self._closing: trio.lowlevel.Task | None = None
        self._is_running = True
        self._has_ended = False
        self._thread = threading.Thread(target=self._work, name="gw_sqla asyncio loop", daemon=True)
        try:
            self._thread.start()
        except BaseException:
            self._runner.close()
            raise

    @enable_ki_protection
    async def call(self, function: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call an asyncio coroutine function in the loop and wait for it; as `gw_sqla.driver.call_asyncio`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        call = _Call(lambda: function(*args, **kwargs))
        raise_cancel: Callable[[], Any] | None = None

        def cancel(raising: Callable[[], Any]) -> Abort:
            nonlocal raise_cancel
            raise_cancel = raising
            with suppress(RuntimeError):  # the loop is closed: the call is about to hear of it
                self._loop.call_soon_threadsafe(call.cancel)
            return Abort.FAILED

        if not self._is_running:
            raise LoopError("the asyncio loop of the database driver has ended")
        self._calls.add(call)
        with suppress(RuntimeError):  # as above
            self._loop.call_soon_threadsafe(call.start, self._call_ended)
        await trio.lowlevel.wait_task_rescheduled(cancel)
        if call.is_cancelled and not self._is_running:
            raise LoopError(_ENDED)
        if raise_cancel is not None and (call.is_cancelled or call.has_returned):
            raise_cancel()
        result: R = call.outcome()
        return result

    def calling_back(self, function: Callable[P, object]) -> Callable[P, None]:
        """Return a function for the loop's thread, which has ``function`` called soon in the trio run."""
        token = self._token

        def call_back(*args: P.args, **kwargs: P.kwargs) -> None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(lambda: function(*args, **kwargs))

        return call_back

    @enable_ki_protection
    async def close(self) -> None:
        """Call what is to be called at the end, cancel what still runs in the loop, end the thread; shielded.

        Raises what the functions of ``at_end`` raise, when the thread has ended.
        """
        try:
            with trio.CancelScope(shield=True):
                for function in self.at_end:
                    await self.call(function)
        finally:
            if not self._has_ended:
                self._closing = current_task()
                with suppress(RuntimeError):  # it ended by itself, and says so soon
                    self._loop.call_soon_threadsafe(self._stop.set)
                await trio.lowlevel.wait_task_rescheduled(lambda _: Abort.FAILED)
            self._thread.join()

    def _work(self) -> None:
        """The thread's life."""
        if sniffio := sys.modules.get("sniffio"):  # a caller's context may say that this is trio
            sniffio.thread_local.name = "asyncio"
        try:
            with self._runner:
                try:
                    self._runner.run(self._stop.wait())
                finally:
                    self._is_running = False
        finally:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._ended)

    def _call_ended(self, call: _Call) -> None:
        """In the loop's thread."""
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._wake, call)

    def _wake(self, call: _Call) -> None:
        if call in self._calls:
            self._calls.remove(call)
            reschedule(call.waiter)

    def _ended(self) -> None:
        self._has_ended = True
        for call in list(self._calls):  # its answer will not come any more
            self._wake(call)
        if self._closing is not None:
            reschedule(self._closing)


class _Call:
    """One call: made and awaited by a trio task, run by a task of the loop."""

    def __init__(self, function: Callable[[], Awaitable[Any]]) -> None:
        self.waiter = current_task()
        self._function = function
        self._context = contextvars.copy_context()
        self._task: asyncio.Task[None] | None = None
        self._result: Any = None
        self._error: BaseException | None = LoopError(_ENDED)

    def start(self, ended: Callable[[_Call], None]) -> None:
        """In the loop's thread: run the function in a task of its own."""

        def done(task: asyncio.Task[None]) -> None:
            if task.cancelled():  # before its first step
                self._error = asyncio.CancelledError()
            ended(self)

        self._task = asyncio.get_running_loop().create_task(self._run(), context=self._context)
        self._task.add_done_callback(done)

    def cancel(self) -> None:
        """In the loop's thread."""
        assert self._task is not None
        self._task.cancel()

    async def _run(self) -> None:
        try:
            self._result = await self._function()
            self._error = None
        except BaseException as error:  # SystemExit too is the caller's, and would end the loop
            self._error = error

    @property
    def is_cancelled(self) -> bool:
        """Whether it has ended by asyncio's cancellation."""
        return isinstance(self._error, asyncio.CancelledError)

    @property
    def has_returned(self) -> bool:
        """Whether it has ended without an exception."""
        return self._error is None

    def outcome(self) -> Any:
        """Return the result, or raise the exception."""
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
            return self._result
        finally:
            del error  # its traceback has this frame


_current: RunVar[LoopThread | None] = RunVar("gw_sqla asyncio loop", None)


def current_loop() -> LoopThread | None:
    """Return the loop that is open in this trio run, if there is one."""
    return _current.get()


@asynccontextmanager
@enable_ki_protection
async def open_loop() -> AsyncIterator[None]:
    """Keep a loop open for this trio run while the block runs; as `gw_sqla.driver.database_loop`."""
    loop = _current.get()
    if loop is None:
        loop = LoopThread()
        _current.set(loop)
    loop.blocks += 1
    try:
        yield
    finally:
        loop.blocks -= 1
        if not loop.blocks:
            _current.set(None)
            await loop.close()
