"""An asyncio loop in a thread of its own, the driver's thread, for what a trio program asks of its database driver.

    trio's thread                                       the driver's thread
    call(function)   -- call_soon_threadsafe -->        a task runs the function, in a copy of the caller's context
    (waits)          <-- run_sync_soon ---------        the task is done: its result or exception
    (is cancelled)   -- call_soon_threadsafe -->        the task is cancelled, once; cleans up; is done

Each call is a hand-over: the trio task waits while the loop works for it, so neither thread touches what the other
is working on. (Only Python's garbage collector does, in whatever thread it runs, where a connection was forgotten.)
A trio run has one loop at most, however many blocks ask for it, in whatever tasks. The last of them to end closes it;
who comes meanwhile waits and then has another. Only what trio, asyncio and sniffio document for users is used.

Control-C: trio holds KeyboardInterrupt back while this code runs, and gives it to the main task where that waits, as
it gives a cancellation. So no call is forgotten, and no thread is left behind.

The loop is always asyncio's own: uvloop's, which a policy may bring, crashes when a forgotten connection is collected
in trio's thread.

Rejected: trio-asyncio, which works on Python 3.11 only, patches asyncio for the whole process, and is slower
(docs/performance.md); trio as a guest of the asyncio loop, in one thread, which was no faster, and which a program
that is on trio already cannot become.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any, ParamSpec, TypeVar
from weakref import WeakSet

import trio
from sqlalchemy.ext.asyncio import AsyncEngine
from trio.lowlevel import Abort, RunVar, current_task, current_trio_token, enable_ki_protection, reschedule

from gw_sqla.database.gil_hand_over import DriverSelector, HandOver
from gw_sqla.database.trio_loop_call import Call
from gw_sqla.errors import LoopError

__all__ = ["LoopBlock", "LoopThread", "current_loop_thread"]

P = ParamSpec("P")
R = TypeVar("R")

_BEGIN_SECONDS = 0.001
"""For so long trio's thread waits for a call to begin, where that matters."""

_CLEAN_UP_SECONDS = 5
"""For so long tasks outside the blocks, whose calls are cancelled, may make others to clean up."""

_DISPOSE_SECONDS = 2
"""A connection that does not say goodbye within this is cut off."""


class LoopThread:
    """One asyncio loop, its thread, and the calls that are under way in it; of one trio run.

    Methods are called in trio's thread, unless they say: in the driver's thread.
    """

    def __init__(self) -> None:
        self.open_blocks = 0
        self.is_closing = False
        self.is_gone = trio.Event()
        self.engines: WeakSet[AsyncEngine] = WeakSet()
        """What is disposed of before the loop closes."""
        selector = DriverSelector()
        self._loop = asyncio.SelectorEventLoop(selector)
        self._hand_over = HandOver(selector)
        self._stop = asyncio.Event()
        self._is_running = True
        """Until the loop has begun to close; written in the driver's thread."""
        self._token = current_trio_token()
        self._calls: set[Call] = set()
        self._wake_soon = self.callback(self._wake)
        self._woken = trio.Event()
        self._closer: trio.lowlevel.Task | None = None
        self._has_ended = False
        self._thread = threading.Thread(target=self._work, name="gw_sqla asyncio loop", daemon=True)
        try:
            self._thread.start()
        except BaseException:
            self._loop.close()
            raise
        trio.lowlevel.add_instrument(self._hand_over)

    async def call(self, function: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call an asyncio coroutine function in the loop and wait for it; as `gw_sqla.call_asyncio`."""
        result: R = await self._outcome(Call(partial(function, *args, **kwargs)))
        return result

    async def call_at_once(self, function: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """The same, but no other task of trio's has a turn before the function has begun; or a millisecond has passed.

        Without that, what those tasks compute would delay it by up to Python's switch interval.
        """
        begun = threading.Lock()
        begun.acquire()
        result: R = await self._outcome(Call(partial(function, *args, **kwargs), begun))
        return result

    @enable_ki_protection
    async def _outcome(self, call: Call) -> Any:
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self._is_running:
            raise LoopError("the asyncio loop of the database driver has ended")
        raise_cancel: Callable[[], Any] | None = None

        def abort(raise_cancel_fn: Callable[[], Any]) -> Abort:
            nonlocal raise_cancel
            raise_cancel = raise_cancel_fn
            self._cancel(call)
            return Abort.FAILED

        self._calls.add(call)
        self._post(call.start, self._wake_soon)
        if call.begun is not None:
            call.begun.acquire(timeout=_BEGIN_SECONDS)
        await trio.lowlevel.wait_task_rescheduled(abort)
        try:
            if raise_cancel is not None and (call.was_cancelled or call.has_returned):
                raise_cancel()
            if call.was_cancelled and (call.is_told_to_cancel or not self._is_running):
                raise LoopError("the asyncio loop of the database driver was closed during a call")
            return call.outcome()
        finally:
            call.forget()

    def callback(self, function: Callable[P, object]) -> Callable[P, None]:
        """Return a function for the driver's thread, which has ``function`` called soon in the trio run."""
        token = self._token

        def call_back(*args: P.args, **kwargs: P.kwargs) -> None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(partial(function, *args, **kwargs))

        return call_back

    async def close(self) -> None:
        """Dispose of engines, cancel what still runs in the loop, end the thread; shielded.

        Raises what disposing raises, when the thread has ended.
        """
        self.is_closing = True
        try:
            with trio.CancelScope(shield=True):
                async with AsyncExitStack() as stack:
                    for engine in self.engines:
                        stack.push_async_callback(self.call, _dispose, engine)
                await self._settle()
        finally:
            self._post(self._stop.set)
            if not self._has_ended:
                self._closer = current_task()
                await trio.lowlevel.wait_task_rescheduled(lambda _: Abort.FAILED)
            self._thread.join()
            trio.lowlevel.remove_instrument(self._hand_over)

    async def _settle(self) -> None:
        """Cancel the calls of tasks outside the blocks, and let them clean up."""
        for call in self._calls:
            self._cancel(call)
        with trio.move_on_after(_CLEAN_UP_SECONDS):
            while self._calls or self._woken.is_set():
                await self._woken.wait()
                self._woken = trio.Event()
                for _ in range(2):  # turns for the tasks that were woken: they may call again
                    await trio.lowlevel.checkpoint()

    def _post(self, function: Callable[..., object], *args: object) -> None:
        """Have the function called soon in the driver's thread."""
        with suppress(RuntimeError):  # the loop is closed, and `_thread_ended` is about to say so
            self._loop.call_soon_threadsafe(function, *args)

    def _cancel(self, call: Call) -> None:
        if not call.is_told_to_cancel:
            call.is_told_to_cancel = True
            self._post(call.cancel)

    def _wake(self, call: Call) -> None:
        self._calls.remove(call)
        self._woken.set()
        reschedule(call.waiter)

    def _thread_ended(self) -> None:
        self._has_ended = True
        for call in list(self._calls):  # its answer will not come any more
            self._wake(call)
        if self._closer is not None:
            reschedule(self._closer)

    def _work(self) -> None:
        """In the driver's thread: its life."""
        if sniffio := sys.modules.get("sniffio"):  # a caller's context may say that this is trio
            sniffio.thread_local.name = "asyncio"
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                try:
                    runner.run(self._stop.wait())
                finally:
                    self._is_running = False
        finally:
            self.callback(self._thread_ended)()


async def _dispose(engine: AsyncEngine) -> None:
    while True:  # each time that it takes too long, the connection that does not answer is dropped
        with suppress(TimeoutError):
            async with asyncio.timeout(_DISPOSE_SECONDS):
                return await engine.dispose()


_current: RunVar[LoopThread | None] = RunVar("gw_sqla asyncio loop", None)


def current_loop_thread() -> LoopThread | None:
    """Return what is open in this trio run, if anything is."""
    return _current.get()


class LoopBlock:
    """A block that keeps a loop open for this trio run; as `gw_sqla.database_loop`. To be entered once."""

    _loop: LoopThread

    @enable_ki_protection
    async def __aenter__(self) -> None:
        while (loop := _current.get()) is not None and loop.is_closing:
            await loop.is_gone.wait()
        if loop is None:
            loop = LoopThread()
            _current.set(loop)
        loop.open_blocks += 1
        self._loop = loop

    @enable_ki_protection
    async def __aexit__(self, *_: object) -> None:
        self._loop.open_blocks -= 1
        if self._loop.open_blocks:
            return
        try:
            await self._loop.close()
        finally:
            _current.set(None)
            self._loop.is_gone.set()
