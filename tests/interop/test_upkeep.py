"""What is gw_sqla's alone, as Node sees it: snoozed jobs, pauses, what a cleanup has removed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, RunCounts, Runner, Snooze, TaskRegistry, async_sessionmaker
from gw_sqla.admin import Pausing, cleanup
from tests.interop.conftest import AddJob, Environment, Fetch, MakeDue
from tests.interop.node import run_once, start_worker

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


async def test_a_snoozed_job_is_a_scheduled_one(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, environment: Environment, fetch: Fetch, make_due: MakeDue
) -> None:
    """Its first attempt is ahead of it, for whoever runs it next."""

    @tasks.task("t")
    async def snooze() -> None:
        raise Snooze(timedelta(hours=1))

    job = await add_job("t", queue_name="q", max_attempts=1)
    assert (await Runner(engine, tasks).run_once()).snoozed == 1
    assert await run_once(environment, {"t": "pass"}) == []
    await make_due(job.id)
    (seen,) = await run_once(environment, {"t": "pass"})
    assert (seen["id"], seen["attempts"], seen["last_error"]) == (job.id, 1, None)
    assert await fetch("select from graphile_worker._private_jobs") == []


async def test_node_knows_no_pauses(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, environment: Environment
) -> None:
    @tasks.task("t")
    async def none() -> None: ...

    async with sessions.begin() as session:
        await Pausing().pause(session, everything=True)
    job = await add_job("t")
    assert await Runner(engine, tasks).run_once() == RunCounts(0, 0)
    assert [seen["id"] for seen in await run_once(environment, {"t": "pass"})] == [job.id]


@pytest.mark.parametrize("is_kept", [True, False])
async def test_a_running_worker_of_nodes_needs_its_tasks_row(
    engine: AsyncEngine, add_job: AddJob, environment: Environment, fetch: Fetch, is_kept: bool
) -> None:
    """It finds no job of a task that was removed and came back under another id, until it is started again."""
    async with start_worker(environment, {"t": "pass"}) as worker:
        await worker.idle()
        cleaned = await cleanup(engine, keep_tasks=["t"] if is_kept else [])
        assert cleaned.tasks == (0 if is_kept else 1)
        job = await add_job("t")
        if is_kept:
            await worker.until(lambda: worker.started)
        await worker.stop()
    left = [] if is_kept else [job.id]
    assert [row["id"] for row in await fetch("select id from graphile_worker._private_jobs")] == left
    assert [seen["id"] for seen in await run_once(environment, {"t": "pass"})] == left
