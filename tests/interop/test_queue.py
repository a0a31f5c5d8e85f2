"""A named queue stays serial while workers of both kinds take its jobs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import JobContext, Runner, RunnerSettings, TaskRegistry
from tests.interop.conftest import AddJob, Environment, Fetch
from tests.interop.node import NodeWorker, start_worker
from tests.support.recorder import Recorder

pytestmark = pytest.mark.anyio

KINDS = ["ours", "node's", "either's"] * 3
"""Who supports the task of each job in the queue: both kinds get some for sure, and race for the rest."""

OVERLAPS = """
    select a.worker, a.job_id, b.worker, b.job_id
    from interop_lane a join interop_lane b
      on a.job_id < b.job_id and tstzrange(a.entered_at, a.left_at) && tstzrange(b.entered_at, b.left_at)
"""


class Lane:
    """Our handler of the queue's jobs: goes on record, then waits for permission to end."""

    def __init__(self, tasks: TaskRegistry, on_entry: Callable[[], None]) -> None:
        self.entries = 0
        self.permit: anyio.Event | None = None
        self._on_entry = on_entry
        tasks.task("ours")(self.run)
        tasks.task("either's")(self.run)

    async def run(self, _payload: object, ctx: JobContext) -> None:
        await record(ctx, "insert into interop_lane (worker, job_id) values ('ours', :job_id)")
        self.permit = permit = anyio.Event()
        self.entries += 1
        self._on_entry()
        await permit.wait()
        self.permit = None
        await record(ctx, "update interop_lane set left_at = clock_timestamp() where job_id = :job_id")


async def record(ctx: JobContext, sql: str) -> None:
    async with ctx.session() as session:
        await session.execute(text(sql), {"job_id": ctx.job.id})


async def let_both_look(node: NodeWorker, recorder: Recorder, add_job: AddJob) -> None:
    """Wait until workers of both kinds have begun a claim after this call, and have got its answer."""
    seen = len(node.named("nothing")) + 3  # each of its two workers may have had a claim in flight
    probe = await add_job("probe", priority=10)  # a claim that takes it would take a job of the queue first
    await recorder.until(lambda: probe.id in [outcome.job.id for outcome in recorder.completed])
    await node.until(lambda: len(node.named("nothing")) >= seen)


async def test_queue_is_serial_across_both_kinds(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    environment: Environment,
    fetch: Fetch,
) -> None:
    await fetch("drop table if exists interop_lane")
    await fetch("""
        create table interop_lane (
          job_id bigint primary key, worker text, entered_at timestamptz default clock_timestamp(), left_at timestamptz
        )
    """)

    @tasks.task("probe")
    async def probe() -> None: ...

    for kind in KINDS:
        await add_job(kind, queue_name="lane")
    settings = RunnerSettings(concurrency=3, poll_interval=timedelta(milliseconds=20))
    tasks_of_node = {"node's": "lane", "either's": "lane"}
    async with start_worker(environment, tasks_of_node, concurrency=2, pollInterval=20) as node:
        lane = Lane(tasks, node.look_again)

        def entries() -> int:
            return lane.entries + len(node.named("entered"))

        async def until_entries(count: int) -> None:
            await node.until(lambda: entries() >= count)

        async with Runner(engine, tasks, settings, observers=[recorder]):
            for turn in range(1, len(KINDS) + 1):
                await until_entries(turn)
                await let_both_look(node, recorder, add_job)
                assert entries() == turn, "a second job of the queue started while one was running"
                if lane.permit is not None:
                    lane.permit.set()
                else:
                    await node.go()
            await node.stop()

    assert [tuple(row) for row in await fetch(OVERLAPS)] == []
    ran = await fetch("select worker, count(*), count(left_at) from interop_lane group by worker")
    shares = {row["worker"]: row["count"] for row in ran}
    assert shares.keys() == {"ours", "node"}
    assert min(shares.values()) >= 3
    assert sum(shares.values()) == len(KINDS)
    assert await fetch("select * from graphile_worker._private_jobs") == []
