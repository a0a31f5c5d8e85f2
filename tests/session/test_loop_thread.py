"""The driver's thread on trio: one for a trio run, gone at the end, whatever the end is."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial

import pytest
import trio
import trio.testing
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import LoopError, async_sessionmaker, call_asyncio, database_loop, loop_thread
from gw_sqla.driver import call_asyncio_shielded, dispose_with_loop, driver_callback
from tests.session.threads import threads
from tests.support.proxy import Proxy, start_proxy

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


async def loop_of_now() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


async def wait(entered: Callable[[], object]) -> None:
    entered()
    await asyncio.Event().wait()


def disposable(disposed: Callable[[], object]) -> AsyncEngine:
    """An engine that never connects, and tells when it is disposed of."""
    engine = create_async_engine("postgresql+asyncpg://nobody@/nowhere")
    event.listen(engine.sync_engine, "engine_disposed", lambda _: disposed())
    return engine


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


def test_who_comes_while_it_closes_waits_for_another() -> None:
    closing, go_on = threading.Event(), threading.Event()

    def disposed() -> None:
        closing.set()
        go_on.wait(20)

    async def newcomer(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        async with database_loop():
            seen.append((len(threads()), go_on.is_set()))
            assert await call_asyncio(loop_of_now)

    async def first() -> None:
        async with database_loop():
            dispose_with_loop(engine)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first)
            await trio.to_thread.run_sync(closing.wait)
            await nursery.start(newcomer)
            await trio.testing.wait_all_tasks_blocked()
            go_on.set()

    engine = disposable(disposed)
    seen: list[tuple[int, bool]] = []
    trio.run(main)
    assert seen == [(1, True)]


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


def test_the_loop_is_asyncios_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever loops the program's policy, or a library that patches asyncio, would make."""

    async def main() -> None:
        async with database_loop():
            assert type(await call_asyncio(loop_of_now)) is asyncio.SelectorEventLoop

    monkeypatch.setattr(asyncio, "new_event_loop", lambda: pytest.fail("asked for a loop"))
    trio.run(main)


def test_a_thread_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", fail)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                async with database_loop():
                    pytest.fail("entered")
        async with database_loop():
            assert await call_asyncio(loop_of_now)

    trio.run(main)
    gc.collect()  # a loop that was not closed would warn


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


def test_a_call_that_outlives_the_block_is_told_and_may_clean_up() -> None:
    async def outlive(entered: trio.Event) -> None:
        with pytest.raises(LoopError, match="closed during a call"):
            await call_asyncio(wait, driver_callback(entered.set))
        told.append(await call_asyncio(asyncio.sleep, 0, "cleaned up"))

    async def main() -> None:
        entered = trio.Event()
        async with trio.open_nursery() as nursery, database_loop():
            nursery.start_soon(outlive, entered)
            await entered.wait()

    told: list[str] = []
    trio.run(main)
    assert told == ["cleaned up"]


def test_a_program_that_is_cancelled_as_a_whole_ends_as_cancelled() -> None:
    """Also its tasks outside the block, whose calls are cancelled while the loop closes; they clean up first."""
    closed = []

    async def outside(entered: trio.Event) -> None:
        try:
            await call_asyncio(wait, driver_callback(entered.set))
        finally:
            with trio.CancelScope(shield=True):
                closed.append(await call_asyncio(asyncio.sleep, 0, True))

    async def main() -> None:
        async with trio.open_nursery() as nursery, database_loop():
            events = [trio.Event() for _ in range(3)]
            for entered in events:
                nursery.start_soon(outside, entered)
            for entered in events:
                await entered.wait()
            nursery.cancel_scope.cancel()

    for _ in range(30):
        trio.run(main)
    assert len(closed) == 90


def test_a_call_that_cleans_up_as_the_loop_closes_is_not_cancelled_again() -> None:
    async def patient(entered: Callable[[], object], cleaning: Callable[[], object]) -> None:
        entered()
        try:
            await asyncio.Event().wait()
        finally:
            cleaning()
            await asyncio.sleep(0.05)
            steps.append("cleaned up")

    async def main() -> None:
        entered, cleaning = trio.Event(), trio.Event()
        async with trio.open_nursery() as nursery, database_loop():
            work = partial(patient, driver_callback(entered.set), driver_callback(cleaning.set))
            nursery.start_soon(call_asyncio, work)
            await entered.wait()
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await cleaning.wait()

    steps: list[str] = []
    trio.run(main)
    assert steps == ["cleaned up"]


def test_cancelled_before_it_begins() -> None:
    async def main() -> None:
        async with database_loop():
            for _ in range(200):
                with trio.CancelScope() as scope:
                    scope.cancel()
                    await call_asyncio(begin)
                assert scope.cancelled_caught

    begun = []

    async def begin() -> None:
        begun.append(True)

    trio.run(main)
    assert not begun


def test_cancelled_before_its_first_step() -> None:
    """While the driver's thread does something else."""
    held, go_on = threading.Event(), threading.Event()

    async def hold() -> None:
        held.set()
        go_on.wait(20)

    async def begin() -> None:
        begun.append(True)

    async def main() -> None:
        async with database_loop(), trio.open_nursery() as nursery:
            nursery.start_soon(call_asyncio, hold)
            await trio.to_thread.run_sync(held.wait)
            with trio.CancelScope() as scope:
                nursery.start_soon(cancel, scope)
                await call_asyncio(begin)
                pytest.fail("went on")
            assert scope.cancelled_caught

    async def cancel(scope: trio.CancelScope) -> None:
        scope.cancel()
        go_on.set()

    begun: list[bool] = []
    trio.run(main)
    assert not begun


def test_a_call_that_is_to_begin_at_once_waits_for_no_busy_thread() -> None:
    held, go_on = threading.Event(), threading.Event()

    async def hold() -> None:
        held.set()
        go_on.wait(20)

    async def let_go() -> None:
        go_on.set()

    async def main() -> None:
        async with database_loop(), trio.open_nursery() as nursery:
            nursery.start_soon(call_asyncio, hold)
            await trio.to_thread.run_sync(held.wait)
            nursery.start_soon(let_go)
            await call_asyncio_shielded(asyncio.sleep, 0)

    trio.run(main)


class Thing:
    """Something that is passed to a call."""


def test_a_call_keeps_nothing_alive() -> None:
    async def use(entered: Callable[[], object], thing: Thing, how: str) -> Thing:
        entered()
        if how == "fails":
            raise ValueError(how)
        if how == "is cancelled":
            await asyncio.Event().wait()
        return thing

    async def call(how: str) -> weakref.ref[Thing]:
        entered = trio.Event()
        thing = Thing()
        found = weakref.ref(thing)
        async with trio.open_nursery() as nursery:
            if how == "is cancelled":
                nursery.start_soon(call_asyncio, partial(use, driver_callback(entered.set), thing, how))
                await entered.wait()
                nursery.cancel_scope.cancel()
                return found
            try:
                await call_asyncio(use, driver_callback(entered.set), thing, how)
            except ValueError:
                return found
        return found

    async def main() -> None:
        async with database_loop():
            for how in ("returns", "fails", "is cancelled"):
                found = await call(how)
                await call_asyncio(asyncio.sleep, 0)  # the driver's thread has let go of the call before
                assert found() is None, how

    gc.collect()
    gc.disable()
    try:
        trio.run(main)
    finally:
        gc.enable()


def test_engines_are_disposed_of_once_in_the_drivers_thread() -> None:
    async def main() -> None:
        async with database_loop():
            async with database_loop():
                dispose_with_loop(engine)
            dispose_with_loop(engine)
            assert not disposed

    disposed: list[str] = []
    engine = disposable(lambda: disposed.append(threading.current_thread().name))
    trio.run(main)
    assert disposed == ["gw_sqla asyncio loop"]


def test_all_engines_are_disposed_of_though_one_fails() -> None:
    def fail() -> None:
        raise ValueError("cannot dispose")

    async def main() -> None:
        async with database_loop():
            for engine in engines:
                dispose_with_loop(engine)

    disposed: list[bool] = []
    engines = [disposable(fail), *(disposable(lambda: disposed.append(True)) for _ in range(5)), disposable(fail)]
    with pytest.raises(ValueError, match="cannot dispose"):
        trio.run(main)
    assert len(disposed) == 5


def test_engines_are_not_kept_alive() -> None:
    async def main() -> None:
        async with database_loop():
            engine = disposable(lambda: None)
            dispose_with_loop(engine)
            found = weakref.ref(engine)
            del engine
            gc.collect()
            assert found() is None

    trio.run(main)


def test_a_cancelled_block_disposes_and_closes() -> None:
    async def main() -> None:
        with trio.CancelScope() as scope:
            async with database_loop():
                dispose_with_loop(engine)
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught

    disposed: list[bool] = []
    engine = disposable(lambda: disposed.append(True))
    trio.run(main)
    assert disposed


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # it says why, as it should
@pytest.mark.parametrize("leave", ["at once", "when it has ended", "when trio knows"])
def test_a_loop_that_is_stopped_from_inside(leave: str) -> None:
    async def stop() -> None:
        asyncio.get_running_loop().stop()
        await asyncio.Event().wait()

    async def main() -> None:
        async with database_loop():
            [thread] = threads()
            with pytest.raises(LoopError, match="closed during a call"):
                await call_asyncio(stop)
            with pytest.raises(LoopError, match="has ended"):
                await call_asyncio(asyncio.sleep, 0)
            if leave != "at once":
                thread.join()
            if leave == "when trio knows":
                await trio.testing.wait_all_tasks_blocked(0.01)

    trio.run(main)


def test_a_trio_task_that_computes_a_little_at_a_time_does_not_starve_the_drivers_thread() -> None:
    """At each look for I/O it gives up Python's lock for a microsecond, which alone would never be long enough."""
    slices = 500
    left = [slices]

    async def compute() -> None:
        while left[0] and not ended:
            end = time.perf_counter() + 0.002
            while time.perf_counter() < end:
                pass
            left[0] -= 1
            await trio.lowlevel.checkpoint()

    async def step() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)  # what is due by the clock, too
        await asyncio.to_thread(time.sleep, 0)  # what another thread does for it

    async def main() -> None:
        async with database_loop(), trio.open_nursery() as nursery:
            nursery.start_soon(compute)
            for _ in range(5):
                await call_asyncio(step)
            ended.append(True)

    ended: list[bool] = []
    trio.run(main)
    assert left[0] > slices / 2


def test_a_connection_that_does_not_say_goodbye_is_cut_off(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(proxy: Proxy) -> None:
        async with database_loop():
            engine = create_async_engine(proxy.url)
            sessions = async_sessionmaker(engine)
            async with sessions() as first, sessions() as second:
                for session in (first, second):
                    await session.execute(text("select 1"))
            dispose_with_loop(engine)
            proxy.forget()

    monkeypatch.setattr(loop_thread, "_DISPOSE_SECONDS", 0.1)
    with start_proxy(database) as proxy:
        trio.run(main, proxy)
