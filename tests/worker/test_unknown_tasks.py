"""Jobs that nobody takes, since no living worker knows their task, are said."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import Runner, RunnerSettings, TaskRegistry
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.worker.recovery import Recovery
from gw_sqla.worker.registration import BEAT_SETTINGS, Registration, worker_facts
from gw_sqla.worker.rust_tables import RustWorkers
from gw_sqla.worker.sweeps import Sweeps
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

SAID = "jobs are ready whose tasks no living worker knows: "


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the tasks that were named."""
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith(SAID)]
    return [line.removeprefix(SAID).partition(";")[0] for line in lines]


async def test_run_once_says_what_it_leaves(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, caplog: pytest.LogCaptureFixture
) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    for name in ("charge", "mail", "charge"):
        await add_job(name, queue_name=name)
    await add_job("later", run_at=datetime.now(UTC) + timedelta(hours=1))
    await add_job(note)
    await Runner(engine, tasks).run_once()
    assert said(caplog) == ["charge (2), mail (1)"]


async def test_nothing_is_said_where_all_are_known(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, caplog: pytest.LogCaptureFixture
) -> None:
    """By this worker, or by another that lives."""

    @tasks.task("note")
    async def note() -> None: ...

    other = Registration(
        WorkerConnection(engine, BEAT_SETTINGS),
        "graphile_worker",
        "pool-other",
        RustWorkers("graphile_worker"),
        threshold=timedelta(minutes=1),
        metadata=worker_facts(RunnerSettings(), ["charge"]),
    )
    await other.register()
    await add_job("charge")
    await add_job(note)
    await Runner(engine, tasks).run_once()
    assert said(caplog) == []
    await other.deregister()
    await Runner(engine, tasks).run_once()
    assert said(caplog) == ["charge (1)"]
    await other.close()


async def test_a_worker_that_stays_gives_them_a_minute(engine: AsyncEngine, add_job: AddJob) -> None:
    sweeps = Sweeps(engine, "graphile_worker", RustWorkers("graphile_worker"))
    await add_job("charge")
    await add_job("mail", run_at=datetime.now(UTC) - timedelta(minutes=2))
    assert await sweeps.unknown_tasks(timedelta(minutes=1)) == {"mail": 1}
    assert await sweeps.unknown_tasks(timedelta(0)) == {"charge": 1, "mail": 1}
    await sweeps.close()


async def test_it_is_looked_at_every_now_and_then(
    engine: AsyncEngine, add_job: AddJob, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await add_job("mail", run_at=datetime.now(UTC) - timedelta(minutes=2))
    sweeps = Sweeps(engine, "graphile_worker", RustWorkers("graphile_worker"))
    recovery = Recovery(sweeps, interval=timedelta(0), delay=timedelta(0), on_unlocked=lambda: None, look_within=0)
    for _ in range(2):
        await recovery.sweep()
    assert said(caplog) == ["mail (1)"]
    await sweeps.close()
