"""Control-C on trio: it ends the run as KeyboardInterrupt, and leaves neither a thread nor a call behind."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import trio
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import call_asyncio, database_loop
from gw_sqla.database.event_loops import dispose_with_loop

pytestmark = pytest.mark.usefixtures("no_thread_is_left")

TraceFunction = Callable[[FrameType, str, Any], Any]


def interrupt(*_: object) -> None:
    """Control-C, from another thread."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_during_a_call() -> None:
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


def test_while_it_closes() -> None:
    async def main() -> None:
        async with database_loop():
            dispose_with_loop(engine)

    engine = create_async_engine("postgresql+asyncpg://nobody@/nowhere")
    event.listen(engine.sync_engine, "engine_disposed", interrupt)
    with pytest.raises(KeyboardInterrupt):
        trio.run(main)


def struck_at(line: int) -> bool:
    """Run a program with Control-C at the so-many-th line that it runs of our own; False where there are fewer."""
    left = line
    ended = []

    def trace(frame: FrameType, kind: str, _argument: object) -> TraceFunction | None:
        nonlocal left
        if Path(frame.f_code.co_filename).parent.parent.name != "gw_sqla":
            return None
        if kind == "line":
            left -= 1
            if left == 0:
                signal.raise_signal(signal.SIGINT)
        return trace

    async def work() -> None:
        await asyncio.sleep(0)
        ended.append(True)

    async def main() -> None:
        async with database_loop():
            await call_asyncio(work)

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        trio.run(main)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    assert left > 0, "it was struck, and ended as if it had not been"
    assert ended
    return False


def test_at_any_line_of_ours() -> None:
    """In the thread that runs trio, from the way into the block to the way out."""
    line = 1
    while struck_at(line):
        line += 1
    assert line > 50, "that many lines were run, and struck"
