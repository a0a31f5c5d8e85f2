"""One of our workers and one of Rust's with the same crontab add one job for each item and minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, Runner, RunnerSettings, TaskRegistry, async_sessionmaker, parse_crontab
from tests.interop.conftest import Fetch
from tests.interop_rust.conftest import Environment
from tests.interop_rust.rust import start_worker

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)
CRONTAB = """
*/7 * * * * seventh ?id=other&fill=3h {a: 1}
* * * * * every ?fill=3h
"""
LOCK = "lock table graphile_worker._private_known_crontabs in access exclusive mode"
WAITING = """
    select count(distinct pid) from pg_locks
    where relation = 'graphile_worker._private_known_crontabs'::regclass and not granted
"""
KNOWN = "select last_execution from graphile_worker._private_known_crontabs where identifier = 'every'"
JOBS = """
    select run_at, payload #>> '{_cron,backfilled}' as backfilled
    from graphile_worker._private_jobs join graphile_worker.jobs using (id, run_at)
    where task_identifier = $1 and run_at <= $2 order by run_at
"""


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
        runner = Runner(engine, tasks, settings)
        finished = anyio.Event()
        with anyio.fail_after(60):
            async with sessions.begin() as session:  # neither sees the known crontabs before both want to
                await session.execute(text(LOCK))
                await group.start(runner.run)
                group.start_soon(run_rust, environment, finished)
                while (await fetch(WAITING))[0][0] < 2:
                    await anyio.lowlevel.checkpoint()
            while ((await fetch(KNOWN))[0][0] or since) < last:
                await anyio.lowlevel.checkpoint()
        finished.set()
        runner.stop()
    for task, step in (("every", 1), ("seventh", 7)):
        rows = await fetch(JOBS, task, last)
        minutes = [since + n * MINUTE for n in range((last - since) // MINUTE + 1)]
        assert [row["run_at"] for row in rows] == [minute for minute in minutes if minute.minute % step == 0]
        told = {"true"} if task == "seventh" else {"true", None}  # without a payload in the line, Rust's job has null
        assert {row["backfilled"] for row in rows[:-1]} <= told


async def run_rust(environment: Environment, finished: anyio.Event) -> None:
    """Run Rust with the crontab until the test says so."""
    async with start_worker(environment, ["pass"], crontab=CRONTAB) as rust:
        await finished.wait()
        await rust.stop()
