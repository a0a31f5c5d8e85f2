"""Which clock decides what is due: the database's, or the worker's where that is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import RunCounts, Runner, RunnerSettings, TaskRegistry
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.worker.claim_cursor import EVERYWHERE
from gw_sqla.worker.claim_store import ClaimStore
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("wrong_by", "due"), [(None, 1), (timedelta(hours=1), 2), (timedelta(hours=-1), 0)])
async def test_a_wrong_clock_matters_only_if_it_is_used(
    engine: AsyncEngine, add_job: AddJob, wrong_by: timedelta | None, due: int
) -> None:
    await add_job("note")
    await add_job("note", run_at=datetime.now(UTC) + timedelta(minutes=30))
    clock = None if wrong_by is None else lambda: datetime.now(UTC) + wrong_by
    store = ClaimStore(WorkerConnection(engine, ends_backends=True), "graphile_worker", "pool-1", clock=clock)
    assert len(await store.claim(["note"], 10, [], EVERYWHERE)) == due
    await store.close()


async def test_a_runner_on_local_time(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    await add_job(note)
    await add_job(note, run_at=datetime.now(UTC) + timedelta(hours=1))
    assert await Runner(engine, tasks, RunnerSettings(use_local_time=True)).run_once() == RunCounts(1, 0)
