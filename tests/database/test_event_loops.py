"""The seam: results, exceptions, context and cancellation pass through it, on both event loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

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
