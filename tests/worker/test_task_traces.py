"""What a handler leaves behind in the task that ran it does not reach the next job of that slot."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import anyio.lowlevel
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, async_scoped_session

from gw_sqla import AsyncSession, Runner, RunnerSettings, TaskRegistry, async_sessionmaker
from gw_sqla.database.event_loops import on_trio
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

ONE_SLOT = RunnerSettings(concurrency=1, prefetch=8)
USER: ContextVar[str] = ContextVar("user", default="nobody")


class Unequal:
    """A value that refuses to be compared, as an array does."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]


def current_task() -> Any:
    if not on_trio():
        return asyncio.current_task()
    import trio

    return trio.lowlevel.current_task()


async def run_jobs(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, handler: Callable[..., Any]) -> None:
    task = tasks.task("work")(handler)
    for _ in range(4):
        await add_job(task)
    assert (await Runner(engine, tasks, ONE_SLOT).run_once()).completed == 4


@pytest.fixture(params=[False, True], ids=["at once", "after waiting"])
def waits(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def test_context_variables(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, waits: bool) -> None:
    seen = []

    async def handler() -> None:
        seen.append(USER.get())
        USER.set("somebody")
        if waits:
            await anyio.lowlevel.checkpoint()

    await run_jobs(engine, tasks, add_job, handler)
    assert seen == ["nobody"] * 4
    assert USER.get() == "nobody"


async def test_values_that_cannot_be_compared(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob) -> None:
    array: ContextVar[object] = ContextVar("array", default=None)
    seen = []

    async def handler() -> None:
        seen.append(array.get())
        array.set(Unequal())

    array.set(Unequal())
    await run_jobs(engine, tasks, add_job, handler)
    assert len({id(value) for value in seen}) == 1


async def test_a_session_scoped_by_the_current_task(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, sessions: async_sessionmaker[AsyncSession], waits: bool
) -> None:
    """A handler that forgets to remove it leaves it in a registry, under its task."""
    scoped = async_scoped_session(sessions, scopefunc=current_task)
    seen = []

    async def handler() -> None:
        seen.append(scoped())
        if waits:
            await anyio.lowlevel.checkpoint()

    await run_jobs(engine, tasks, add_job, handler)
    assert len({id(session) for session in seen}) == 4


async def test_a_store_by_weak_reference(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, waits: bool
) -> None:
    store: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
    seen = []

    async def handler() -> None:
        seen.append(store.get(current_task()))
        store[current_task()] = 1
        if waits:
            await anyio.lowlevel.checkpoint()

    await run_jobs(engine, tasks, add_job, handler)
    assert seen == [None] * 4


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_callbacks_for_the_end_of_the_task(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, waits: bool
) -> None:
    called = 0
    seen = []

    def call(_: object) -> None:
        nonlocal called
        called += 1

    async def handler() -> None:
        seen.append(called)
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(call)
        if waits:
            await anyio.lowlevel.checkpoint()

    await run_jobs(engine, tasks, add_job, handler)
    assert seen == [0, 1, 2, 3]


async def test_handlers_that_leave_nothing_share_a_task(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, waits: bool
) -> None:
    """That is what makes them fast."""
    seen = set()

    async def handler() -> None:
        seen.add(id(current_task()))
        if waits:
            await anyio.lowlevel.checkpoint()

    await run_jobs(engine, tasks, add_job, handler)
    assert len(seen) == 1
