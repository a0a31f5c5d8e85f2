"""Calls to the driver's loop on trio: cancelled, outliving the block, beside tasks that compute."""

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

from gw_sqla import LoopError, call_asyncio, database_loop
from gw_sqla.database.event_loops import call_asyncio_shielded, driver_callback

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


async def wait(entered: Callable[[], object]) -> None:
    entered()
    await asyncio.Event().wait()


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
