"""A named queue stays serial while workers of both kinds take its jobs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import Runner, RunnerSettings, TaskRegistry
from tests.interop.conftest import AddJob, Environment, Fetch
from tests.interop.lane import Lane, assert_serial, make_records, take_turns
from tests.interop.node import start_worker
from tests.interop.peer_worker import PeerWorker
from tests.support.recorder import Recorder

pytestmark = pytest.mark.anyio

KINDS = ["ours", "node's", "either's"] * 3
"""Who supports the task of each job in the queue: both kinds get some for sure, and race for the rest."""


async def let_both_look(node: PeerWorker, recorder: Recorder, add_job: AddJob) -> None:
    """Wait until workers of both kinds have begun a claim after this call, and have got its answer."""
    seen = len(node.named("nothing")) + 3  # each of its two workers may have had a claim in flight
    probe = await add_job("probe", priority=10)  # a claim that takes it would take a job of the queue first
    await recorder.until(lambda: probe.id in [outcome.job.id for outcome in recorder.completed])
    await node.until(lambda: len(node.named("nothing")) >= seen)


@pytest.mark.parametrize("lease_after", [None, timedelta(seconds=10)])
async def test_queue_is_serial_across_both_kinds(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    environment: Environment,
    fetch: Fetch,
    lease_after: timedelta | None,
) -> None:
    await make_records(fetch)

    @tasks.task("probe")
    async def probe() -> None: ...

    for kind in KINDS:
        await add_job(kind, queue_name="lane")
    settings = RunnerSettings(concurrency=3, poll_interval=timedelta(milliseconds=20), lease_after=lease_after)
    tasks_of_node = {"node's": "lane", "either's": "lane"}
    async with start_worker(environment, tasks_of_node, concurrency=2, pollInterval=20) as node:
        lane = Lane(tasks, node.look_again)
        async with Runner(engine, tasks, settings, observers=[recorder]):
            await take_turns(lane, node, len(KINDS), lambda: let_both_look(node, recorder, add_job))
            await node.stop()

    await assert_serial(fetch, "node", len(KINDS))
