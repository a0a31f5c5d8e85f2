"""A named queue stays serial while workers of both kinds take its jobs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import Runner, RunnerSettings, TaskRegistry
from tests.interop.conftest import AddJob, Fetch
from tests.interop.lane import Lane, assert_serial, make_records, take_turns
from tests.interop.peer_worker import PeerWorker
from tests.interop_rust.conftest import Environment
from tests.interop_rust.rust import start_worker
from tests.support.recorder import Recorder

pytestmark = pytest.mark.anyio

KINDS = ["ours", "rust's", "either's"] * 3
"""Who supports the task of each job in the queue: both kinds get some for sure, and race for the rest."""


async def let_both_look(rust: PeerWorker, recorder: Recorder, add_job: AddJob) -> None:
    """Wait until workers of both kinds have made a claim that would have taken a job of the queue first."""
    ours, theirs = await add_job("probe", priority=10), await add_job("pass", priority=10)
    await recorder.until(lambda: ours.id in [outcome.job.id for outcome in recorder.completed])
    await rust.until(lambda: theirs.id in [job["id"] for job in rust.started])


async def test_queue_is_serial_across_both_kinds(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    environment: Environment,
    fetch: Fetch,
) -> None:
    await make_records(fetch)

    @tasks.task("probe")
    async def probe() -> None: ...

    for kind in KINDS:
        await add_job(kind, queue_name="lane")
    settings = RunnerSettings(concurrency=3, poll_interval=timedelta(milliseconds=20))
    async with start_worker(environment, ["rust's", "either's", "pass"], concurrency=2, poll=20) as rust:
        lane = Lane(tasks, rust.look_again)
        async with Runner(engine, tasks, settings, observers=[recorder]):
            await take_turns(lane, rust, len(KINDS), lambda: let_both_look(rust, recorder, add_job))
            await rust.stop()

    await assert_serial(fetch, "rust", len(KINDS))
