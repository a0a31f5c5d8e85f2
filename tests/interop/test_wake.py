"""A job that one kind adds wakes the idle workers of the other, long before they poll."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobRepository, JobSpec, Runner, TaskRegistry, async_sessionmaker
from tests.interop.conftest import HOURLY, AddJob, Environment, Fetch
from tests.interop.node import call, start_worker
from tests.support.recorder import Recorder

pytestmark = pytest.mark.anyio

LISTENS = """
    select exists (
      select from pg_stat_activity where datname = current_database() and state = 'idle' and query ~ 'LISTEN.+worker:'
    )
"""


async def test_ours_wakes_node(
    sessions: async_sessionmaker[AsyncSession], repo: JobRepository, add_job: AddJob, environment: Environment
) -> None:
    async with start_worker(environment, {"t": "pass"}, concurrency=2) as node:
        await node.idle()
        await add_job("t", "one")
        await node.until(lambda: len(node.started) == 1)
        await node.idle()
        async with sessions.begin() as session:
            await repo.add_jobs(session, [JobSpec(task_identifier="t", payload=payload) for payload in "ab"])
        await node.until(lambda: len(node.started) == 3)
        await node.stop()
    assert sorted(job["payload"] for job in node.started) == ["a", "b", "one"]


async def test_nodes_wakes_ours(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    environment: Environment,
    fetch: Fetch,
) -> None:
    @tasks.task("t")
    async def t() -> None: ...

    async with Runner(engine, tasks, HOURLY, observers=[recorder]):
        with anyio.fail_after(20):
            while not (await fetch(LISTENS))[0][0]:
                await anyio.lowlevel.checkpoint()
        await add_job("t", "shows that it has looked")
        await recorder.until(lambda: len(recorder.completed) == 1)
        await call(environment, ["addJob", "t", "one"])
        await recorder.until(lambda: len(recorder.completed) == 2)
        specs = [{"identifier": "t", "payload": payload} for payload in "ab"]
        await call(environment, ["addJobs", specs])
        await recorder.until(lambda: len(recorder.completed) == 4)
