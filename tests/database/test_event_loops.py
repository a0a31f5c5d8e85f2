"""The seam: results, exceptions, context and cancellation pass through it, on both event loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import AsyncSession, LoopError, call_asyncio, database_loop
from gw_sqla.database import trio_loop_thread
from gw_sqla.database.event_loops import call_asyncio_shielded, driver_callback, on_trio

pytestmark = pytest.mark.anyio

colour: ContextVar[str] = ContextVar("colour")


async def test_results_and_arguments(anyio_backend: str) -> None:
    async def divide(a: int, b: int, *, more: int = 0) -> float:
        await asyncio.sleep(0)
        return a / b + more

    async with database_loop():
        assert await call_asyncio(divide, 6, 3) == 2
        assert await call_asyncio(divide, 6, b=3, more=1) == 3


@pytest.mark.parametrize("error", [ValueError("a"), ExceptionGroup("b", [KeyError("c")]), SystemExit(3)])
async def test_exceptions(anyio_backend: str, error: BaseException) -> None:
    cause = KeyError("cause")

    async def fail() -> None:
        await asyncio.sleep(0)
        raise error from cause

    if anyio_backend == "asyncio" and isinstance(error, SystemExit):
        pytest.skip("asyncio's own tasks end the loop by it")
    async with database_loop():
        with pytest.raises(type(error)) as caught:
            await call_asyncio(fail)
        assert caught.value is error
        assert caught.value.__cause__ is cause
        assert await call_asyncio(asyncio.sleep, 0, "result") == "result", "the loop goes on"


async def test_what_the_function_raises_at_once(anyio_backend: str) -> None:
    def fail() -> Awaitable[None]:
        raise ValueError("no coroutine at all")

    async with database_loop():
        with pytest.raises(ValueError, match="no coroutine at all"):
            await call_asyncio(fail)


async def test_context_variables_are_seen_and_not_changed(anyio_backend: str) -> None:
    async def paint() -> str:
        seen = colour.get()
        colour.set("blue")
        return seen

    async with database_loop():
        colour.set("red")
        assert await call_asyncio(paint) == "red"
        assert colour.get() == "red"


async def test_the_thread(anyio_backend: str) -> None:
    async def thread() -> int:
        return threading.get_ident()

    async with database_loop():
        there = {await call_asyncio(thread) for _ in range(3)}
    assert len(there) == 1
    assert (there == {threading.get_ident()}) == (anyio_backend == "asyncio")


async def test_anyio_knows_where_it_is(anyio_backend: str) -> None:
    async def nap() -> bool:
        with anyio.move_on_after(0) as scope:
            await anyio.sleep_forever()
        assert asyncio.current_task() is not None
        return scope.cancelled_caught and not on_trio()

    async with database_loop():
        assert await call_asyncio(nap)


class Patient:
    """A function that waits until it is cancelled, then cleans up for a few turns."""

    def __init__(self, ends_with: BaseException | None = None) -> None:
        self.steps: list[str] = []
        self.ends_with = ends_with

    async def run(self, entered: Callable[[], object]) -> str:
        entered()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancelled:
            self.steps.append("cancelled")
            for _ in range(3):
                await asyncio.sleep(0)
            self.steps.append("cleaned up")
            if self.ends_with is not None:
                raise self.ends_with from cancelled
            raise
        raise AssertionError("nothing sets this event")


async def cancel_after(entered: anyio.Event, scope: anyio.CancelScope) -> None:
    await entered.wait()
    scope.cancel()


async def test_cancellation(anyio_backend: str) -> None:
    """The function sees asyncio's, once, and cleans up before the caller goes on."""
    patient = Patient()
    entered = anyio.Event()
    async with database_loop(), anyio.create_task_group() as group:
        group.start_soon(call_asyncio, partial(patient.run, driver_callback(entered.set)))
        await entered.wait()
        group.cancel_scope.cancel()
    assert patient.steps == ["cancelled", "cleaned up"]


async def test_an_error_of_the_clean_up_passes(anyio_backend: str) -> None:
    error = ValueError("cannot clean up")
    patient = Patient(error)
    entered = anyio.Event()

    async with database_loop(), anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            group.start_soon(cancel_after, entered, scope)
            with pytest.raises(ValueError, match="cannot clean up") as caught:
                await call_asyncio(patient.run, driver_callback(entered.set))
            assert caught.value is error
    assert isinstance(error.__cause__, asyncio.CancelledError)


async def test_a_call_that_ends_all_the_same_is_cancelled(anyio_backend: str) -> None:
    """A cancellation that comes too late for the function is not lost: its result is."""
    entered = anyio.Event()

    async def stubborn(tell: Callable[[], object]) -> str:
        tell()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "result"
        raise AssertionError("nothing sets this event")

    async with database_loop(), anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            group.start_soon(cancel_after, entered, scope)
            await call_asyncio(stubborn, driver_callback(entered.set))
            pytest.fail("went on")
        assert scope.cancelled_caught


async def test_the_functions_own_bound_holds_for_its_clean_up(anyio_backend: str) -> None:
    entered = anyio.Event()
    steps: list[str] = []

    async def hang() -> None:
        in_loop()
        try:
            await asyncio.Event().wait()
        finally:
            try:
                async with asyncio.timeout(0.05):
                    await asyncio.Event().wait()
            except TimeoutError:
                steps.append("given up")

    with anyio.fail_after(10):
        async with database_loop(), anyio.create_task_group() as group:
            in_loop = driver_callback(entered.set)
            group.start_soon(call_asyncio, hang)
            await entered.wait()
            group.cancel_scope.cancel()
    assert steps == ["given up"]


async def test_calls_side_by_side(anyio_backend: str) -> None:
    running = 0
    all_running = asyncio.Event()

    async def meet() -> None:
        nonlocal running
        running += 1
        if running == 5:
            all_running.set()
        await all_running.wait()

    with anyio.fail_after(10):
        async with database_loop(), anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(call_asyncio, meet)


async def test_callbacks_are_called_in_the_callers_loop(anyio_backend: str) -> None:
    called = anyio.Event()
    where: list[tuple[int, bool, object]] = []

    def note(what: object) -> None:
        where.append((threading.get_ident(), on_trio(), what))
        called.set()

    async def call(function: Callable[[object], object]) -> None:
        function("payload")

    async with database_loop():
        await call_asyncio(call, driver_callback(note))
        await called.wait()
    assert where == [(threading.get_ident(), anyio_backend == "trio", "payload")]


async def test_where_trio_is(anyio_backend: str) -> None:
    async def inside() -> bool:
        return on_trio()

    assert on_trio() == (anyio_backend == "trio")
    assert await anyio.to_thread.run_sync(on_trio) is False
    async with database_loop():
        assert await call_asyncio(inside) is False


async def test_no_loop(anyio_backend: str) -> None:
    engine = create_async_engine("postgresql+asyncpg://nobody@/nowhere?host=/nonexistent")
    session = AsyncSession(engine)
    if anyio_backend == "trio":
        with pytest.raises(LoopError, match="database_loop"):
            await call_asyncio(asyncio.sleep, 0)
        with pytest.raises(LoopError, match="database_loop"):
            await session.execute(select(1))
        with pytest.raises(LoopError, match="database_loop"):
            async with session:
                pytest.fail("entered")
        with pytest.raises(LoopError, match="database_loop"):
            driver_callback(print)
    else:
        with pytest.raises(OSError):  # noqa: PT011 - of the network, whatever its text
            await session.execute(select(1))
        await session.close()


async def test_a_shielded_call_begins_before_any_other_task_has_a_turn(
    anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On trio too, if the driver's thread can begin within a millisecond; here it may take longer."""
    order = []

    async def work(answer: str) -> str:
        order.append(answer)
        await asyncio.sleep(0)
        return answer

    async def other() -> None:
        order.append("other")

    monkeypatch.setattr(trio_loop_thread, "_BEGIN_SECONDS", 20)
    async with database_loop(), anyio.create_task_group() as group:
        group.start_soon(other)
        with anyio.CancelScope(shield=True):
            assert await call_asyncio_shielded(work, "sent") == "sent"
    assert order == ["sent", "other"]
