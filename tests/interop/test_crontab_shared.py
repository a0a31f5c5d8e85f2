"""Two of our workers and one of Node's with the same crontab add one job for each item and minute."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, Runner, RunnerSettings, TaskRegistry, async_sessionmaker, parse_crontab
from tests.interop.conftest import Environment, Fetch
from tests.interop.node import start_worker

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)

CRONTAB = """
*/7 * * * * seventh ?id=other&fill=3h {a: 1}
* * * * * every ?fill=3h
"""

_WAITING = """
    select count(distinct pid) from pg_locks
    where relation = 'graphile_worker._private_known_crontabs'::regclass and not granted
"""
_JOBS = """
    select run_at, payload #>> '{_cron,ts}' as ts, payload #>> '{_cron,backfilled}' as backfilled
    from graphile_worker._private_jobs join graphile_worker.jobs using (id, run_at)
    where task_identifier = $1 and run_at <= $2 order by run_at
"""


@asynccontextmanager
async def held_back(sessions: async_sessionmaker[AsyncSession], fetch: Fetch, workers: int) -> AsyncIterator[None]:
    """Let no worker see the known crontabs before all of them want to; the block starts the workers."""
    async with sessions.begin() as session:
        await session.execute(text("lock table graphile_worker._private_known_crontabs in access exclusive mode"))
        yield
        with anyio.fail_after(60):
            while (await fetch(_WAITING))[0][0] < workers:
                await anyio.lowlevel.checkpoint()


async def test_they_make_up_for_the_same_minutes(
    engine: AsyncEngine,
    sessions: async_sessionmaker[AsyncSession],
    tasks: TaskRegistry,
    environment: Environment,
    fetch: Fetch,
) -> None:
    @tasks.task("unrelated")
    async def unrelated() -> None: ...

    begin = datetime.now(UTC)
    since, last = ((begin - ago).replace(second=0, microsecond=0) for ago in (timedelta(hours=2), timedelta(0)))
    await fetch("insert into graphile_worker._private_known_crontabs values ('every', $1), ('other', $1)", since)
    settings = RunnerSettings(crontab=parse_crontab(CRONTAB))
    async with anyio.create_task_group() as group:
        runners = [Runner(engine, tasks, settings) for _ in range(2)]
        async with held_back(sessions, fetch, workers=3):
            for runner in runners:
                await group.start(runner.run)
            group.start_soon(run_node, environment, finished := anyio.Event())
        known = "select last_execution from graphile_worker._private_known_crontabs where identifier = 'every'"
        with anyio.fail_after(60):
            while ((await fetch(known))[0][0] or since) < last:
                await anyio.lowlevel.checkpoint()
        finished.set()
        for runner in runners:
            runner.stop()
    for identifier, step in (("every", 1), ("seventh", 7)):
        rows = await fetch(_JOBS, identifier, last)
        minutes = [since + n * MINUTE for n in range((last - since) // MINUTE + 1)]
        assert [row["run_at"] for row in rows] == [minute for minute in minutes if minute.minute % step == 0]
        assert all(row["ts"] == f"{row['run_at']:%Y-%m-%dT%H:%M:00.000Z}" for row in rows)
        assert {row["backfilled"] for row in rows[:-1]} == {"true"}


async def run_node(environment: Environment, finished: anyio.Event) -> None:
    """Run Node with the crontab until the test says so."""
    async with start_worker(environment, {"none": "pass"}, crontab=CRONTAB) as node:
        await node.idle()
        await finished.wait()
        await node.stop()
