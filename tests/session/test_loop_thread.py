"""The thread of the driver's loop on trio: one for a trio run, gone at the end, whatever the end is."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import trio

from gw_sqla import LoopError, call_asyncio, database_loop
from gw_sqla.driver import before_loop_closes, in_this_loop

TraceFunction = Callable[[FrameType, str, Any], Any]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "gw_sqla asyncio loop"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    assert not threads()
    yield
    assert not threads()


async def loop_of_now() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_blocks_share_one_loop_and_the_last_closes_it() -> None:
    async def second(entered: trio.Event, leave: trio.Event) -> None:
        async with database_loop():
            loops.append(await call_asyncio(loop_of_now))
            entered.set()
            await leave.wait()
            loops.append(await call_asyncio(loop_of_now))

    async def main() -> None:
        entered, leave = trio.Event(), trio.Event()
        async with trio.open_nursery() as nursery:
            async with database_loop():
                loops.append(await call_asyncio(loop_of_now))
                async with database_loop():
                    loops.append(await call_asyncio(loop_of_now))
                nursery.start_soon(second, entered, leave)
                await entered.wait()
            loops.append(await call_asyncio(loop_of_now))  # in no block of its own
            leave.set()
        assert not threads()
        with pytest.raises(LoopError, match="no asyncio loop is open"):
            await call_asyncio(loop_of_now)
        async with database_loop():
            assert await call_asyncio(loop_of_now) not in loops

    loops: list[asyncio.AbstractEventLoop] = []
    trio.run(main)
    assert len(loops) == 5
    assert len(set(loops)) == 1
    assert loops[0].is_closed()


def test_each_trio_run_has_its_own() -> None:
    loops: list[asyncio.AbstractEventLoop] = []
    both = threading.Barrier(2, timeout=20)

    async def main() -> None:
        async with database_loop():
            loops.append(await call_asyncio(loop_of_now))
            await trio.to_thread.run_sync(both.wait)

    runs = [threading.Thread(target=trio.run, args=(main,)) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(set(loops)) == 2


def test_what_runs_in_the_loop_is_cancelled_at_its_end() -> None:
    steps = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    async def spawn() -> None:
        running.append(asyncio.create_task(forever()))
        await asyncio.sleep(0)

    async def main() -> None:
        async with database_loop():
            await call_asyncio(spawn)

    running: list[asyncio.Task[None]] = []
    trio.run(main)
    assert steps == ["cleaned up"]


def test_a_call_that_outlives_the_loop_is_told() -> None:
    async def wait(entered: Callable[[], object]) -> None:
        entered()
        await asyncio.Event().wait()

    async def outlive(entered: trio.Event) -> None:
        with pytest.raises(LoopError, match="ended during the call"):
            await call_asyncio(wait, in_this_loop(entered.set))
        told.append(True)

    async def main() -> None:
        entered = trio.Event()
        async with trio.open_nursery() as nursery, database_loop():
            nursery.start_soon(outlive, entered)
            await entered.wait()

    told: list[bool] = []
    trio.run(main)
    assert told


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # it says why, as it should
def test_a_loop_that_is_stopped_from_inside() -> None:
    async def stop() -> None:
        asyncio.get_running_loop().stop()
        await asyncio.Event().wait()

    async def main() -> None:
        async with database_loop():
            with pytest.raises(LoopError, match="ended during the call"):
                await call_asyncio(stop)
            with pytest.raises(LoopError, match="has ended"):
                await call_asyncio(asyncio.sleep, 0)

    trio.run(main)


def test_functions_are_called_before_it_closes() -> None:
    called = []

    class Engine:
        async def dispose(self) -> None:
            await asyncio.sleep(0)
            called.append(threading.current_thread().name)

    async def main() -> None:
        async with database_loop():
            async with database_loop():
                before_loop_closes(engine.dispose)
            before_loop_closes(engine.dispose)
            assert not called

    engine = Engine()
    trio.run(main)
    assert called == ["gw_sqla asyncio loop"]


def test_an_error_before_it_closes_closes_it() -> None:
    async def fail() -> None:
        raise ValueError("cannot dispose")

    async def main() -> None:
        async with database_loop():
            before_loop_closes(fail)

    with pytest.raises(ValueError, match="cannot dispose"):
        trio.run(main)


def test_a_cancelled_block_closes_it() -> None:
    called = []

    async def dispose() -> None:
        await asyncio.sleep(0)
        called.append(True)

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with database_loop():
                before_loop_closes(dispose)
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught

    trio.run(main)
    assert called


def test_cancelled_before_it_begins() -> None:
    begun = []

    async def begin() -> None:
        begun.append(True)

    async def main() -> None:
        async with database_loop():
            with trio.CancelScope() as scope:
                scope.cancel()
                await call_asyncio(begin)
        assert scope.cancelled_caught

    trio.run(main)
    assert not begun


def interrupt() -> None:
    """Control-C, from another thread."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_control_c_during_a_call() -> None:
    steps = []

    async def wait() -> None:
        interrupt()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    async def main() -> None:
        async with database_loop():
            await call_asyncio(wait)

    with pytest.raises(KeyboardInterrupt):
        trio.run(main)
    assert steps == ["cleaned up"]


def test_control_c_while_it_closes() -> None:
    called = []

    async def dispose() -> None:
        interrupt()
        try:
            await asyncio.sleep(60)
        finally:
            called.append(True)

    async def main() -> None:
        async with database_loop():
            before_loop_closes(dispose)

    with pytest.raises(KeyboardInterrupt):
        trio.run(main)
    assert called


@pytest.mark.parametrize("line", range(1, 160, 3))
def test_control_c_at_any_line(line: int) -> None:
    """Wherever it strikes in our own code, it ends the run, and leaves neither a thread nor a call behind."""
    left = line
    ended = 0

    def trace(frame: FrameType, event: str, _argument: object) -> TraceFunction | None:
        nonlocal left
        if "gw_sqla" not in Path(frame.f_code.co_filename).parts[-2:]:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                signal.raise_signal(signal.SIGINT)
        return trace

    async def work() -> None:
        nonlocal ended
        await asyncio.sleep(0)
        ended += 1

    async def main() -> None:
        async with database_loop():
            for _ in range(5):
                await call_asyncio(work)

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with suppress(KeyboardInterrupt):
            trio.run(main)
            assert left > 0, "it was struck, and ended as if it had not been"
    finally:
        sys.settrace(before)
    assert ended == 5 or left <= 0
