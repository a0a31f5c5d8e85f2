"""A handler that blocks the event loop is named in the log, with the place, while it does so."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import anyio
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import RunCounts, Runner, RunnerSettings, TaskRegistry
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

THRESHOLD = timedelta(milliseconds=100)
LOGGER = "gw_sqla.execution.loop_watchdog"


class Reported(logging.Handler):
    """Lets a blocking handler wait until it is reported."""

    def __init__(self) -> None:
        super().__init__()
        self.event = threading.Event()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.event.set()


@pytest.fixture
def reported() -> Reported:
    return Reported()


@pytest.fixture(autouse=True)
def listening(reported: Reported) -> Iterator[None]:
    logging.getLogger(LOGGER).addHandler(reported)
    yield
    logging.getLogger(LOGGER).removeHandler(reported)


async def test_the_job_and_the_place_are_named(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, reported: Reported
) -> None:
    @tasks.task("block")
    async def block() -> None:
        await anyio.lowlevel.checkpoint()
        wait_like_a_library()
        reported.event.clear()
        while not reported.event.is_set():  # noqa: ASYNC110 - until it is said that the loop goes on
            await anyio.sleep(0.01)

    def wait_like_a_library() -> None:
        assert reported.event.wait(60)

    row = await add_job(block)
    settings = RunnerSettings(blocking_threshold=THRESHOLD)
    assert await Runner(engine, tasks, settings).run_once() == RunCounts(completed=1, failed=0)
    first, second, *_ = reported.lines
    assert first.startswith(f"job {row.id} (block, attempt 1) blocks the event loop")
    assert "in wait_like_a_library" in first
    assert second.startswith(f"job {row.id} (block, attempt 1) lets the event loop go on after ")


async def test_off(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, reported: Reported) -> None:
    @tasks.task("block")
    async def block() -> None:
        assert "gw_sqla watchdog" not in {thread.name for thread in threading.enumerate()}
        time.sleep(0.3)  # noqa: ASYNC251 - what it is about

    await add_job(block)
    settings = RunnerSettings(blocking_threshold=None)
    assert await Runner(engine, tasks, settings).run_once() == RunCounts(completed=1, failed=0)
    assert reported.lines == []
