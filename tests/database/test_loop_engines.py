"""Engines whose connections belong to the driver's loop on trio: disposed of before it closes."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable

import pytest
import trio
import trio.testing
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import async_sessionmaker, database_loop
from gw_sqla.database import trio_loop_thread
from gw_sqla.database.event_loops import dispose_with_loop
from tests.support.proxy import Proxy, start_proxy

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def disposable(disposed: Callable[[], object]) -> AsyncEngine:
    """An engine that never connects, and tells when it is disposed of."""
    engine = create_async_engine("postgresql+asyncpg://nobody@/nowhere")
    event.listen(engine.sync_engine, "engine_disposed", lambda _: disposed())
    return engine


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

    monkeypatch.setattr(trio_loop_thread, "_DISPOSE_SECONDS", 0.1)
    with start_proxy(database) as proxy:
        trio.run(main, proxy)
