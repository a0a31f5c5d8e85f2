"""The driver's thread on trio: one for a trio run, gone at the end, whatever the end is."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable

import pytest
import trio
import trio.testing
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import LoopError, call_asyncio, database_loop
from gw_sqla.database.event_loops import dispose_with_loop
from tests.database.threads import threads

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
