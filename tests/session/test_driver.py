"""The seam: results, exceptions and cancellation pass through it, on both event loops."""

from __future__ import annotations

import asyncio
import sys

import anyio
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import AsyncSession, LoopError, call_asyncio, database_loop
from gw_sqla.driver import call_asyncio_shielded, needs_loop, on_trio

pytestmark = pytest.mark.anyio


async def test_results_and_arguments(anyio_backend: str) -> None:
    async def divide(a: int, b: int, *, more: int = 0) -> float:
        await asyncio.sleep(0)
        return a / b + more

    async with database_loop():
        assert await call_asyncio(divide, 6, 3) == 2
        assert await call_asyncio(divide, 6, b=3, more=1) == 3


async def test_exceptions(anyio_backend: str) -> None:
    raised = ValueError("a")
    group = ExceptionGroup("b", [KeyError("c")])

    async def fail(error: Exception) -> None:
        await asyncio.sleep(0)
        raise error

    async with database_loop():
        with pytest.raises(ValueError, match=r"^a$") as caught:
            await call_asyncio(fail, raised)
        assert caught.value is raised
        with pytest.raises(ExceptionGroup) as caught_group:
            await call_asyncio(fail, group)
        assert caught_group.value is group


async def test_cancellation(anyio_backend: str) -> None:
    """The coroutine sees asyncio's, may clean up, and the caller its own event loop's."""
    steps: list[str] = []
    entered = anyio.Event()

    async def wait() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            steps.append("cancelled")
            await asyncio.sleep(0)
            steps.append("cleaned up")
            raise

    async with database_loop(), anyio.create_task_group() as group:
        group.start_soon(call_asyncio, wait)
        await entered.wait()
        group.cancel_scope.cancel()
    assert steps == ["cancelled", "cleaned up"]


async def test_calls_side_by_side(anyio_backend: str) -> None:
    running = 0
    all_running = asyncio.Event() if anyio_backend == "asyncio" else None

    async def meet() -> None:
        nonlocal running, all_running
        all_running = all_running or asyncio.Event()
        running += 1
        if running == 5:
            all_running.set()
        await all_running.wait()

    with anyio.fail_after(10):
        async with database_loop(), anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(call_asyncio, meet)


async def test_the_loop_is_opened_once(anyio_backend: str) -> None:
    assert on_trio() == (anyio_backend == "trio")
    assert needs_loop() == (anyio_backend == "trio")
    async with database_loop():
        assert not needs_loop()
        async with database_loop():
            assert not needs_loop()
        assert not needs_loop(), "the inner block closes nothing"
        assert await call_asyncio(asyncio.sleep, 0, "result") == "result"

        async def inside() -> bool:
            return on_trio()

        assert await call_asyncio(inside) is False
    assert needs_loop() == (anyio_backend == "trio")


async def test_not_in_a_thread(anyio_backend: str) -> None:
    assert await anyio.to_thread.run_sync(on_trio) is False
    assert await anyio.to_thread.run_sync(needs_loop) is False


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
    else:
        with pytest.raises(OSError):  # noqa: PT011 - of the network, whatever its text
            await session.execute(select(1))
        await session.close()


async def test_without_the_extra(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trio_asyncio", None)
    if anyio_backend == "trio":
        with pytest.raises(LoopError, match=r"gw-sqla\[trio\]"):
            async with database_loop():
                pytest.fail("entered")
    else:
        async with database_loop():
            assert await call_asyncio(asyncio.sleep, 0, 1) == 1


async def test_a_shielded_call_begins_before_any_other_task_has_a_turn() -> None:
    """On asyncio, that is; on trio it goes the way of every call."""
    order = []

    async def work(answer: str) -> str:
        order.append(answer)
        await asyncio.sleep(0)
        return answer

    async def other() -> None:
        order.append("other")

    async with database_loop(), anyio.create_task_group() as group:
        group.start_soon(other)
        with anyio.CancelScope(shield=True):
            assert await call_asyncio_shielded(work, "sent") == "sent"
    assert sorted(order) == ["other", "sent"]
    if not on_trio():
        assert order == ["sent", "other"]
