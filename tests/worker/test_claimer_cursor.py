"""Claims that go on where the last one ended: nothing before the cursor is forgotten."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import anyio
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobContext, Runner, RunnerSettings, TaskRegistry, async_sessionmaker
from gw_sqla.jobs.run import Run
from gw_sqla.worker.claim_cursor import EVERYWHERE, START
from gw_sqla.worker.claim_store import ClaimStore
from tests.support.pools import locks, registered
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture(autouse=True)
def rare_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look from the start because time has passed."""
    monkeypatch.setattr("gw_sqla.worker.claim_cursor._SHORTEST_PAUSE", 60)
    monkeypatch.setattr("gw_sqla.worker.claim_cursor._LONGEST_PAUSE", 60)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids after which claims look for jobs."""
    places = []
    claim = ClaimStore.claim

    async def noted(store: ClaimStore, *arguments: Any) -> list[Run]:
        places.append(arguments[3].unqueued.id)
        return await claim(store, *arguments)

    monkeypatch.setattr(ClaimStore, "claim", noted)
    return places


async def test_claims_go_on(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, places: list[int]) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    ids = [(await add_job(note)).id for _ in range(3)]
    await Runner(engine, tasks, RunnerSettings(concurrency=1)).run_once()
    assert places[:4] == [START.id, *ids]
    assert places[-1] == START.id, "it ends with a look from the start"


async def test_what_comes_back_before_it_is_run(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob) -> None:
    """More urgent than all others, and ready again when many of them have been claimed."""

    @tasks.task("note", backoff=lambda _: timedelta(0))
    async def note(payload: int, ctx: JobContext) -> None:
        if payload == 0 and ctx.job.attempts == 1:
            raise ValueError("once more")

    for number in range(30):
        await add_job(note, number, priority=0 if number else -1)
    counts = await Runner(engine, tasks, RunnerSettings(concurrency=2)).run_once()
    assert (counts.completed, counts.failed) == (30, 1)


async def test_it_is_run_while_another_job_goes_on(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last claim after the cursor finds nothing, and nobody wakes the claimer after it."""
    urgent_ran = anyio.Event()
    added: list[str] = []
    claim = ClaimStore.claim

    async def late(store: ClaimStore, *arguments: Any) -> list[Run]:
        jobs = await claim(store, *arguments)
        if not jobs and arguments[3] is not EVERYWHERE and not added:
            added.append("urgent")
            await add_job("urgent", priority=-1)
            await anyio.wait_all_tasks_blocked()
        return jobs

    monkeypatch.setattr(ClaimStore, "claim", late)

    @tasks.task("long")
    async def long() -> None:
        with anyio.fail_after(20):
            await urgent_ran.wait()

    @tasks.task("note")
    async def note() -> None: ...

    @tasks.task("urgent")
    async def urgent() -> None:
        urgent_ran.set()

    await add_job(long)
    for _ in range(5):
        await add_job(note)
    counts = await Runner(engine, tasks, RunnerSettings(concurrency=2)).run_once()
    assert (counts.completed, counts.failed) == (7, 0)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncios_own_cancellation_forgets_no_claim(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No shield stops it: it comes when the claim is committed, and its answer has not been read."""
    committed = anyio.Event()
    claim = ClaimStore.claim

    async def unanswered(store: ClaimStore, *arguments: Any) -> list[Run]:
        await claim(store, *arguments)
        committed.set()
        await anyio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(ClaimStore, "claim", unanswered)

    @tasks.task("note")
    async def note() -> None: ...

    await add_job(note)
    running = asyncio.create_task(Runner(engine, tasks).run_once())
    await committed.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await locks(sessions) == (0, 0)
    assert await registered(sessions) == []
